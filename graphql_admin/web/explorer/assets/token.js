// What a token says about itself. Only the server says whether it is good.

/**
 * Finds the token in a pasted string.
 * @param {string} text A token, perhaps with the word Bearer before it.
 * @returns {string}
 * @throws {Error} With words for people, where there is none.
 */
export function findToken(text) {
  const token = text.trim().replace(/^bearer\s+/i, "");
  if (endOf(token) === null) {
    throw new Error("That is not a token: it should be three long words with dots between them.");
  }
  return token;
}

/**
 * Says when a token ends.
 * @param {string} token
 * @returns {Date | null} Null where it does not say so.
 */
export function endOf(token) {
  const claims = /^[\w-]+\.([\w-]+)\.[\w-]+$/.exec(token)?.[1];
  try {
    const { exp } = JSON.parse(atob(claims.replaceAll("-", "+").replaceAll("_", "/")));
    return Number.isFinite(exp) ? new Date(exp * 1000) : null;
  } catch {
    return null;
  }
}

/**
 * Says in words when a token ends or ended.
 * @param {Date} end
 * @param {Date} now
 * @returns {string}
 */
export function endInWords(end, now) {
  const seconds = Math.round((end - now) / 1000);
  return seconds > 0 ? `Token ends in ${span(seconds)}` : `Token ended ${span(-seconds)} ago`;
}

function span(seconds) {
  const [count, unit] =
    seconds < 90
      ? [seconds, "second"]
      : seconds < 90 * 60
        ? [Math.round(seconds / 60), "minute"]
        : seconds < 36 * 3600
          ? [Math.round(seconds / 3600), "hour"]
          : [Math.round(seconds / 86400), "day"];
  return `${count} ${unit}${count === 1 ? "" : "s"}`;
}
