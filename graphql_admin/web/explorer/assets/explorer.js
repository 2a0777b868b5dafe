// The page: who is signed in, what they may do, and GraphiQL below that.

import { examplesFor } from "./examples.js";
import { startIde } from "./ide.js";
import { failure, lookAround, send, whoIs } from "./server.js";
import { leaveForSignIn, leaveForSignOut, returnFromSignIn } from "./sign_in.js";
import { forgetSession, keepSession, recallSession } from "./storage.js";
import { endInWords, endOf, findToken } from "./token.js";

const WELCOME = `# Users and groups of the user pool, over GraphQL.
#
# Say who you are, above.
# Then what you may do is one click away.
#
# Ctrl-Enter  runs an operation
# Ctrl-Space  completes what you type
# The book on the left is the documentation.
`;

const page = Object.fromEntries(
  [...document.querySelectorAll("[id]")].map((element) => [element.id, element]),
);

let config = await readConfig();
let session = null; // a Session of storage.js with its `end`, while a user is signed in
const ide = startIde(page.graphiql, {
  fetcher: runOperation,
  welcome: WELCOME,
  nonce: document.querySelector("link[nonce]").nonce,
  secrets: config.secrets,
});

page["sign-in"].addEventListener("click", () => leaveForSignIn(config.signIn).catch(tell));
page["sign-out"].addEventListener("click", signOut);
page["paste-toggle"].addEventListener("click", () => showPaste(page.paste.hidden));
page.paste.addEventListener("submit", pasteToken);
setInterval(showEnd, 1000);

showPeople();
showSession();
ide.show(readsSchema());
await resume();

async function readConfig() {
  return (await fetch("explorer/config.json")).json();
}

/** Signs in a user who comes back from the sign-in page, or was signed in before a reload. */
async function resume() {
  try {
    const token = config.signIn && (await returnFromSignIn(config.signIn));
    const kept = token ? { token, via: "sign-in" } : recallSession();
    if (kept) await signIn(kept);
  } catch (error) {
    forgetSession();
    tell(error);
  }
}

/**
 * @param {import("./storage.js").Session} candidate
 * @throws {Error} With words for people, where the server does not take the token.
 */
async function signIn(candidate) {
  const end = endOf(findToken(candidate.token));
  if (end <= new Date()) {
    throw new Error(`${endInWords(end, new Date())}. Sign in again, or try another.`);
  }
  const viewer = await whoIs(candidate.token);
  keepSession(candidate);
  session = { ...candidate, end, viewer };
  tell(null);
  showPaste(false);
  showSession();
  ide.clearResult();
  ide.show(readsSchema());
  const surroundings = await lookAround(viewer, candidate.token);
  showExamples(examplesFor(viewer, surroundings, config), candidate.token);
}

function signOut() {
  const { via } = session;
  session = null;
  forgetSession();
  tell(null);
  showSession();
  showExamples([], null);
  ide.empty();
  ide.show(readsSchema());
  if (via === "sign-in") leaveForSignOut(config.signIn);
}

async function pasteToken(event) {
  event.preventDefault();
  const text = page.token.value;
  page.token.value = "";
  try {
    await signIn({ token: findToken(text), via: "paste" });
  } catch (error) {
    tell(error);
  }
}

async function becomePerson(username) {
  try {
    config = await readConfig(); // their tokens may have been renewed
    const { token } = config.people.find((person) => person.username === username);
    await signIn({ token, via: "person" });
  } catch (error) {
    tell(error);
  }
}

/** GraphiQL's way to the server. */
async function runOperation(operation) {
  if (session === null && config.introspection !== "public") {
    return failure("Not sent: you are not signed in. Sign in above.");
  }
  if (session !== null && session.end <= new Date()) {
    return failure(`Not sent. ${endInWords(session.end, new Date())}. Sign in again, above.`);
  }
  if (config.secrets.some((name) => new RegExp(`\\b${name}\\s*:\\s*"`).test(operation.query))) {
    tell(new Error("A password is written into this operation. Put it into a variable instead."));
  }
  const { status, result } = await send(operation, session?.token ?? null);
  if (status === 401) tell(new Error("The server no longer accepts your token. Sign in again."));
  return result;
}

function readsSchema() {
  return config.introspection === "public" || (config.introspection !== "off" && session !== null);
}

/** @param {Error | null} error Null takes the last notice away. */
function tell(error) {
  page.notice.textContent = error?.message ?? "";
  page.notice.hidden = error === null;
}

function showPeople() {
  page.people.hidden = config.people.length === 0;
  for (const { role, username, may } of config.people) {
    const button = make("button", { type: "button", title: `${username} may ${may}.` });
    button.textContent = role;
    button.dataset.username = username;
    button.addEventListener("click", () => becomePerson(username));
    page.people.append(button);
  }
}

function showPaste(open) {
  page.paste.hidden = !open;
  page["paste-toggle"].setAttribute("aria-expanded", open);
  if (open) page.token.focus();
}

function showSession() {
  const signedIn = session !== null;
  page.you.hidden = !signedIn;
  for (const button of page.people.querySelectorAll("button")) {
    const isOneself = session?.viewer.username === button.dataset.username;
    button.setAttribute("aria-pressed", isOneself);
  }
  if (signedIn) {
    const { username, groups } = session.viewer;
    page.username.textContent = username;
    page.initial.textContent = [...username][0].toUpperCase();
    page.groups.replaceChildren(...groups.map((name) => make("li", { textContent: name })));
  }
  showEnd();
}

/** Once a second: how long the token lasts, and the ways in again once it has ended. */
function showEnd() {
  const mayEnter = session === null || session.end <= new Date();
  page["sign-in"].hidden = !mayEnter || config.signIn === null;
  page["paste-toggle"].hidden = !mayEnter && config.people.length === 0;
  if (session === null) return;
  const now = new Date();
  const ended = session.end <= now;
  const words = endInWords(session.end, now);
  if (page.ends.textContent !== words) page.ends.textContent = words;
  if (ended && !page.you.classList.contains("ended")) {
    tell(new Error("Your token has ended. Sign in again to go on."));
  }
  page.you.classList.toggle("ended", ended);
}

function showExamples(examples, token) {
  if (token !== (session?.token ?? null)) return; // another user signed in meanwhile
  page.examples.hidden = examples.length === 0;
  page.examples.replaceChildren(
    makeExamples("Read", examples.filter(({ changes }) => !changes)),
    makeExamples("Change", examples.filter(({ changes }) => changes)),
  );
}

function makeExamples(title, examples) {
  const list = make("ul", { ariaLabel: title });
  list.append(...examples.map(makeExample));
  const group = make("div", { hidden: examples.length === 0 });
  group.append(make("span", { textContent: title, ariaHidden: "true" }), list);
  return group;
}

function makeExample(example) {
  const item = make("li", {});
  const button = make("button", {
    type: "button",
    className: example.changes ? "changes" : "",
    textContent: example.label,
    title: config.actions[example.action],
  });
  button.addEventListener("click", () => ide.open(example));
  item.append(button);
  return item;
}

function make(tag, properties) {
  return Object.assign(document.createElement(tag), properties);
}
