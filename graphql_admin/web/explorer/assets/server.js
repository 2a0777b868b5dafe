// The conversation with the GraphQL endpoint beside this page.

/**
 * @typedef {{username: string, groups: string[], actions: string[]}} Viewer
 * @typedef {{
 *   users: {
 *     username: string,
 *     id?: string,
 *     status?: string,
 *     enabled?: boolean,
 *     emailVerified?: boolean | null,
 *     allowedActions?: string[],
 *   }[],
 *   groups: {name: string, id?: string, members?: string[], allowedActions?: string[]}[],
 * }} Surroundings What the viewer may see of the pool; a group's members, and what the viewer may do
 * to each, where those are shown too.
 */

const WHO_AM_I = "query Viewer { viewer { username groups actions } }";

/**
 * Sends an operation.
 * @param {{query: string, variables?: object, operationName?: string}} operation
 * @param {string | null} token
 * @returns {Promise<{status: number, result: object}>}
 */
export async function send(operation, token) {
  const response = await fetch("graphql", {
    method: "POST",
    headers: {
      Accept: "application/graphql-response+json, application/json;q=0.9",
      "Content-Type": "application/json",
      ...(token === null ? {} : { Authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(operation),
  }).catch(() => null);
  if (response === null) {
    return { status: 0, result: failure("The server cannot be reached.") };
  }
  const result = await response.json().catch(() => null);
  return {
    status: response.status,
    result: result ?? failure(`The server answered ${response.status} without a result.`),
  };
}

/** A result that says why there is none, for where no server gives one. */
export const failure = (message) => ({ errors: [{ message }] });

/**
 * Asks who the holder of a token is.
 * @param {string} token
 * @returns {Promise<Viewer>}
 * @throws {Error} With words for people.
 */
export async function whoIs(token) {
  const { status, result } = await send({ query: WHO_AM_I, operationName: "Viewer" }, token);
  if (status === 401) {
    throw new Error("The server does not accept this token. Sign in again, or try another.");
  }
  if (!result.data?.viewer) {
    throw new Error(result.errors?.[0]?.message ?? "The server did not say who you are.");
  }
  return result.data.viewer;
}

/**
 * Looks up users and groups that exist, as far as the viewer may see them.
 * @param {Viewer} viewer
 * @param {string} token
 * @returns {Promise<Surroundings>}
 */
export async function lookAround({ actions, groups }, token) {
  const may = (action) => actions.includes(action);
  const ofGroup = may("listUsersInGroup") ? "users(first: 10) { nodes { username } }" : "";
  const ofUser = may("listGroupsForUser") ? "allowedActions" : "";
  const parts = [];
  if (may("listUsers")) {
    parts.push(`users(first: 25) { nodes { id username status enabled emailVerified ${ofUser} } }`);
  }
  if (may("listGroups")) {
    parts.push(`groups(first: 5) { nodes { id name allowedActions ${ofGroup} } }`);
  }
  const query = `query LookAround { ${parts.join(" ")} }`;
  const data = parts.length > 0 ? (await send({ query }, token)).result.data : null;
  const seen =
    data?.groups?.nodes.map(({ id, name, allowedActions, users }) => ({
      id,
      name,
      allowedActions,
      members: users?.nodes.map(({ username }) => username),
    })) ?? groups.map((name) => ({ name }));
  const inGroups = new Set(seen.flatMap(({ members }) => members ?? []));
  return {
    users: data?.users?.nodes ?? [...inGroups].map((username) => ({ username })),
    groups: seen,
  };
}
