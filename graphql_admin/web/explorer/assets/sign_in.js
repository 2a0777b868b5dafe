// Signing in through the user pool's hosted page: OAuth's authorization code grant with PKCE
// (RFC 7636), as a public client without a secret.

import { keepSignIn, takeSignIn } from "./storage.js";

/**
 * @typedef {{url: string, clientId: string, tokenUse: "access" | "id"}} HostedPage
 */

/** This page's address, to which the hosted page sends people back. */
const here = () => location.origin + location.pathname;

/**
 * Leaves for the hosted page.
 * @param {HostedPage} page
 * @throws {Error} With words for people, where the browser will not do the cryptography.
 */
export async function leaveForSignIn(page) {
  if (!crypto.subtle) {
    throw new Error("Signing in needs this page to be opened over https.");
  }
  const verifier = randomWord();
  const state = randomWord();
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  keepSignIn({ verifier, state });
  go(page, "/oauth2/authorize", {
    response_type: "code",
    client_id: page.clientId,
    redirect_uri: here(),
    scope: "openid",
    state,
    code_challenge: base64url(new Uint8Array(digest)),
    code_challenge_method: "S256",
  });
}

/**
 * Leaves for the hosted page's sign-out, which ends its session and sends people back.
 * @param {HostedPage} page
 */
export function leaveForSignOut(page) {
  go(page, "/logout", { client_id: page.clientId, logout_uri: here() });
}

/**
 * Takes up a return from the hosted page, and takes its traces out of the address.
 * @param {HostedPage} page
 * @returns {Promise<string | null>} The token; null if this is no return from there.
 * @throws {Error} With words for people, where the sign-in failed.
 */
export async function returnFromSignIn(page) {
  const reply = new URLSearchParams(location.search);
  if (!reply.has("code") && !reply.has("error")) {
    return null;
  }
  history.replaceState(null, "", here());
  const asked = takeSignIn();
  // An attacker who lures users here with their own code does not know the state.
  if (asked === null || reply.get("state") !== asked.state) {
    throw new Error("That sign-in was not started in this tab. Please sign in again.");
  }
  if (!reply.has("code")) {
    throw new Error("The sign-in page did not sign you in. Please try again.");
  }
  const response = await fetch(`${page.url}/oauth2/token`, {
    method: "POST",
    credentials: "omit",
    body: new URLSearchParams({
      grant_type: "authorization_code",
      client_id: page.clientId,
      redirect_uri: here(),
      code: reply.get("code"),
      code_verifier: asked.verifier,
    }),
  }).catch(() => null);
  const tokens = response?.ok ? await response.json().catch(() => ({})) : {};
  const token = tokens[`${page.tokenUse}_token`];
  if (typeof token !== "string") {
    throw new Error("The sign-in page gave no token. Please sign in again.");
  }
  return token;
}

function go(page, path, parameters) {
  location.assign(`${page.url}${path}?${new URLSearchParams(parameters)}`);
}

function randomWord() {
  return base64url(crypto.getRandomValues(new Uint8Array(32)));
}

function base64url(bytes) {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}
