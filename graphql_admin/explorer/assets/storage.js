// What the page remembers: in this browser tab only, and no longer than it is open.

const TOKEN = "graphql-admin:token";
const SIGN_IN = "graphql-admin:sign-in";
const OF_GRAPHIQL = "graphiql:";

/**
 * A token and how it came here.
 * @typedef {{token: string, via: "person" | "paste" | "sign-in"}} Session
 */

/** @returns {Session | null} */
export const recallSession = () => recall(TOKEN);

/** @param {Session} session */
export const keepSession = (session) => sessionStorage.setItem(TOKEN, JSON.stringify(session));

/** Forgets who is signed in and all that they typed and were shown. */
export function forgetAll() {
  sessionStorage.removeItem(TOKEN);
  forGraphiQL.clear();
}

/** Keeps what must survive the way to the sign-in page and back. */
export const keepSignIn = (signIn) => sessionStorage.setItem(SIGN_IN, JSON.stringify(signIn));

/** Gives what `keepSignIn` kept, once. */
export function takeSignIn() {
  const signIn = recall(SIGN_IN);
  sessionStorage.removeItem(SIGN_IN);
  return signIn;
}

/** Where GraphiQL keeps tabs and history; left alone it would use localStorage, for ever. */
export const forGraphiQL = {
  getItem: (key) => sessionStorage.getItem(key),
  setItem: (key, value) => sessionStorage.setItem(key, value),
  removeItem: (key) => sessionStorage.removeItem(key),
  get length() {
    return Object.keys(sessionStorage).filter((key) => key.startsWith(OF_GRAPHIQL)).length;
  },
  clear() {
    for (const key of Object.keys(sessionStorage)) {
      if (key.startsWith(OF_GRAPHIQL)) sessionStorage.removeItem(key);
    }
  },
};

function recall(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}
