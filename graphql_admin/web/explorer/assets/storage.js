// What the page remembers: in this browser tab only, and no longer than it is open.

// By the page's path: one host may have several servers, each below a prefix, and the token of one
// pool must not be sent to the server of another.
const HERE = `${location.pathname} `;
const TOKEN = `${HERE}graphql-admin:token`;
const SIGN_IN = `${HERE}graphql-admin:sign-in`;
const OF_GRAPHIQL = `${HERE}graphiql:`;

/**
 * A token and how it came here.
 * @typedef {{token: string, via: "person" | "paste" | "sign-in"}} Session
 */

/** @returns {Session | null} */
export const recallSession = () => recall(TOKEN);

/** @param {Session} session */
export const keepSession = (session) => sessionStorage.setItem(TOKEN, JSON.stringify(session));

/** Forgets who is signed in. */
export const forgetSession = () => sessionStorage.removeItem(TOKEN);

/** Keeps what must survive the way to the sign-in page and back. */
export const keepSignIn = (signIn) => sessionStorage.setItem(SIGN_IN, JSON.stringify(signIn));

/** Gives what `keepSignIn` kept, once. */
export function takeSignIn() {
  const signIn = recall(SIGN_IN);
  sessionStorage.removeItem(SIGN_IN);
  return signIn;
}

/**
 * Opens where GraphiQL keeps tabs and history; left alone it would use localStorage, for ever.
 *
 * GraphiQL writes half a second late: `close` forgets all, and what would still be written. What
 * may have a secret in it is not taken; then GraphiQL does not put it into its history either.
 * @param {string[]} secrets Names of input fields whose values must not be stored.
 */
export function openStorage(secrets) {
  let isOpen = true;
  // In any letter case, so that a mutation is not kept without its variables either, as GraphiQL
  // does where it is slow: by its name it is the one that sets a secret.
  const names = secrets.map((name) => name.toLowerCase());
  const mayHaveSecret = (text) => names.some((name) => text.toLowerCase().includes(name));
  const keys = () => Object.keys(sessionStorage).filter((key) => key.startsWith(OF_GRAPHIQL));
  const clear = () => keys().forEach((key) => sessionStorage.removeItem(key));
  return {
    getItem: (key) => sessionStorage.getItem(HERE + key),
    setItem(key, value) {
      if (mayHaveSecret(value)) throw new Error("This may have a secret in it, and is not kept.");
      if (isOpen) sessionStorage.setItem(HERE + key, value);
    },
    removeItem: (key) => sessionStorage.removeItem(HERE + key),
    get length() {
      return keys().length;
    },
    clear,
    close() {
      clear();
      isOpen = false;
    },
  };
}

function recall(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}
