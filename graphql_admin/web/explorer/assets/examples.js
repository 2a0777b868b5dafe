// An example for each action, and one of `nodes`: operations that the viewer may run, about things
// that exist.

/**
 * @typedef {import("./server.js").Viewer} Viewer
 * @typedef {import("./server.js").Surroundings} Surroundings
 * @typedef {{
 *   action: string,
 *   label: string,
 *   changes: boolean,
 *   query: string,
 *   operationName: string,
 *   variables: object,
 * }} Example
 */

/**
 * A mutation: what it is aimed at and whether that is new, the values that it takes besides, those
 * that are secret, and what its result shows: whether the object, and what else.
 * @typedef {{
 *   action: string,
 *   target: string,
 *   creates: boolean,
 *   values: object,
 *   secrets: string[],
 *   showsObject: boolean,
 *   shows: string[],
 * }} Change
 */

/**
 * Makes an example of each action that the viewer may use.
 * @param {Viewer} viewer
 * @param {Surroundings} surroundings
 * @param {{
 *   changes: Change[],
 *   people: {username: string}[],
 * }} config The mutations that there are, and whom no example of one is about.
 * @returns {Example[]} Those that only read come first.
 */
export function examplesFor(viewer, surroundings, { changes, people }) {
  const examples = [
    ...examplesThatRead(viewer, surroundings),
    ...examplesThatChange(viewer, surroundings, changes, people),
  ].filter(({ action }) => viewer.actions.includes(action));
  return [...examples, ...examplesOfBatches(examples, changes)];
}

/** A batch that only checks a few of the other examples. None of them has a secret. */
function examplesOfBatches(examples, changes) {
  const plain = changes.filter(({ target, secrets }) => target !== "oneself" && !secrets.length);
  const inputs = new Map(examples.map(({ action, variables }) => [action, variables.input]));
  const steps = plain
    .filter(({ action }) => inputs.has(action))
    .slice(0, 3)
    .map(({ action }) => ({ [action]: inputs.get(action) }));
  const variables = { input: { steps, dryRun: true } };
  const name = "batch";
  return steps.length
    ? [{ action: name, label: name, changes: true, query: BATCH, operationName: "Batch", variables }]
    : [];
}

function examplesThatRead({ username, actions }, { users, groups }) {
  const may = (action) => actions.includes(action);
  const by = { username: users.find((user) => user.username !== username)?.username ?? username };
  const name = groups[0]?.name ?? "";
  const examples = [
    reading("viewer", VIEWER, {}),
    reading("listUsers", LIST_USERS, { first: 10, after: null }),
    reading("getUser", GET_USER, { by }),
    reading("listGroups", LIST_GROUPS, { first: 10, after: null }),
    reading("getGroup", GET_GROUP, { name }),
    reading("getUserPool", USER_POOL, {}),
  ];
  const ids = [
    ...(may("getUser") ? users.slice(0, 2) : []),
    ...(may("getGroup") ? groups.slice(0, 1) : []),
  ].flatMap(({ id }) => id ?? []);
  if (ids.length > 0) {
    const action = may("getUser") ? "getUser" : "getGroup";
    examples.push(reading(action, NODES, { ids }, "nodes"));
  }
  // What hangs below a user or a group can be read by a caller who may read that user or group.
  if (may("getUser")) {
    examples.push(
      reading("listGroupsForUser", GROUPS_OF_ONE, { by }),
      reading("listUserDevices", DEVICES_OF_ONE, { by }),
      reading("listUserAuthEvents", AUTH_EVENTS_OF_ONE, { by }),
    );
  } else if (may("listUsers")) {
    examples.push(
      reading("listGroupsForUser", GROUPS_OF_MANY, { first: 5 }),
      reading("listUserDevices", DEVICES_OF_MANY, { first: 5 }),
      reading("listUserAuthEvents", AUTH_EVENTS_OF_MANY, { first: 5 }),
    );
  }
  if (may("getUser")) {
    examples.push(reading("getUserAuthFactors", FACTORS_OF_ONE, { by }));
    examples.push(reading("listUserSessions", SESSIONS_OF_ONE, { by }));
  } else if (may("listUsers")) {
    examples.push(reading("getUserAuthFactors", FACTORS_OF_MANY, { first: 5 }));
    examples.push(reading("listUserSessions", SESSIONS_OF_MANY, { first: 5 }));
  }
  if (may("getGroup")) {
    examples.push(reading("listUsersInGroup", USERS_OF_ONE, { name }));
  } else if (may("listGroups")) {
    examples.push(reading("listUsersInGroup", USERS_OF_MANY, { first: 5 }));
  }
  return examples;
}

// Whom an example of an action is about, where it should have something to change.
const FITS = {
  confirmUserSignUp: ({ status }) => status === "UNCONFIRMED",
  disableUser: ({ enabled }) => enabled,
  enableUser: ({ enabled }) => !enabled,
  deleteUser: ({ enabled }) => enabled === false,
  setUserPassword: ({ status }) => status !== "EXTERNAL_PROVIDER",
  resetUserPassword: ({ status, enabled, emailVerified }) =>
    status === "CONFIRMED" && enabled && emailVerified === true,
  linkUserIdentity: ({ status }) => status !== "EXTERNAL_PROVIDER",
  resendInvitation: ({ status }) => status === "FORCE_CHANGE_PASSWORD",
  deleteGroup: ({ members }) => members?.length === 0,
  addUserToGroup: ({ isMember }) => isMember === false,
  removeUserFromGroup: ({ isMember }) => isMember === true,
};

// What an example changes, where an action need not be told.
const VALUES = {
  // One that no user has: an example ends no session.
  endUserSession: { sessionId: "tkn0000000000000000000000000" },
  setUserMfa: { sms: "OFF" },
  updateUser: { fullName: "Changed in the explorer" },
  updateGroup: { description: "Changed in the explorer." },
};

/** A password with every kind of character that a policy may ask for, and never the same. */
function makePassword() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `Aa1!${Array.from(bytes, (byte) => (byte % 36).toString(36)).join("")}`;
}

/** A name that is none of those in the viewer's surroundings. */
function newName(start, taken) {
  const names = new Set(taken);
  let number = 1;
  while (names.has(`${start}${number}`)) number += 1;
  return `${start}${number}`;
}

function examplesThatChange(viewer, { users, groups }, changes, spared) {
  // Not the caller either: a new operator's first click should not lock the operator out.
  const keep = new Set([viewer.username, ...spared.map(({ username }) => username)]);
  // Who is in a group that the viewer cannot give has more rights, most likely: they come last.
  const closed = groups.filter(({ allowedActions }) => allowedActions?.length === 0);
  const above = new Set(closed.flatMap(({ members }) => members ?? []));
  const isAbove = ({ username }) => Number(above.has(username));
  const others = users
    .filter(({ username }) => !keep.has(username))
    .toSorted((one, another) => isAbove(one) - isAbove(another));
  // Nor should it give away the operator's own rights: the operator's groups come last.
  const isOwn = ({ name }) => Number(viewer.groups.includes(name));
  const sorted = groups.toSorted((one, another) => isOwn(one) - isOwn(another));
  const pairs = sorted
    .flatMap((group) =>
      others.map((user) => ({
        username: user.username,
        name: group.name,
        isMember: group.members?.includes(user.username),
        allowedActions: actionsOnBoth(user.allowedActions, group.allowedActions),
      })),
    )
    .toSorted((one, another) => isAbove(one) - isAbove(another));
  const noCandidate = { username: "", name: groups[0]?.name ?? "" };
  const pick = (action, candidates) => {
    // Where it is not known whether the viewer may, the server will say so.
    const open = candidates.filter(({ allowedActions }) => allowedActions?.includes(action) ?? true);
    return open.find(FITS[action] ?? (() => true)) ?? open[0] ?? candidates[0] ?? noCandidate;
  };
  const targets = {
    oneself: () => ({ username: viewer.username }),
    user: (action) => ({ username: pick(action, others).username }),
    group: (action) => ({ groupName: pick(action, sorted).name }),
    membership: (action) => {
      const { username, name } = pick(action, pairs);
      return { username, groupName: name };
    },
  };
  const newTargets = {
    user: () => ({ username: newName("new.user", users.map(({ username }) => username)) }),
    group: () => ({ groupName: newName("NewGroup", groups.map(({ name }) => name)) }),
  };
  // The key comes with the action; the rest of the user is for those who may read one.
  const ofUser = viewer.actions.includes("getUser")
    ? ["username", "status", "enabled"]
    : ["username"];
  const selections = {
    oneself: ["user", ["username"]],
    user: ["user", ofUser],
    group: ["group", ["name"]],
    membership: ["user", ofUser],
  };
  return changes.map(({ action, target, creates, values, secrets, showsObject, shows }) => {
    const [object, fields] = selections[target];
    const shown = showsObject ? [`${object} {`, ...fields.map(indented), "}"] : [];
    return changing(action, [...shown, ...shows], {
      ...(creates ? newTargets : targets)[target](action),
      ...values,
      ...Object.fromEntries(secrets.map((name) => [name, makePassword()])),
      ...VALUES[action],
    });
  });
}

/** What may be done to two things together, each of which may be unknown. */
const actionsOnBoth = (some, others) =>
  some && others ? some.filter((action) => others.includes(action)) : (some ?? others);

function reading(action, query, variables, label = action) {
  return { action, label, changes: false, query, operationName: capitalized(label), variables };
}

const indented = (line) => `  ${line}`;

function changing(action, shown, input) {
  const name = capitalized(action);
  const query = `mutation ${name}($input: ${name}Input!) {
  ${action}(input: $input) {
    ${shown.join("\n    ")}
    errors {
      code
      message
      field
    }
  }
}`;
  return { action, label: action, changes: true, query, operationName: name, variables: { input } };
}

const capitalized = (word) => word[0].toUpperCase() + word.slice(1);

const BATCH = `mutation Batch($input: BatchInput!) {
  batch(input: $input) {
    errors {
      code
      message
      field
    }
    results {
      index
      action
      outcome
      errors {
        code
        message
        field
      }
    }
  }
}`;

const VIEWER = `query Viewer {
  viewer {
    kind
    username
    groups
    actions
  }
}`;

const LIST_USERS = `query ListUsers(
  $first: Int!
  $after: String
  $filter: UserFilter
) {
  users(first: $first, after: $after, filter: $filter) {
    nodes {
      username
      email
      status
      enabled
      createdAt
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}`;

const GET_USER = `query GetUser($by: UserBy!) {
  user(by: $by) {
    username
    email
    emailVerified
    fullName
    status
    enabled
    createdAt
    updatedAt
  }
}`;

const NODES = `query Nodes($ids: [ID!]!) {
  nodes(ids: $ids) {
    id
    ... on User {
      username
      email
    }
    ... on Group {
      name
      description
    }
  }
}`;

const LIST_GROUPS = `query ListGroups($first: Int!, $after: String) {
  groups(first: $first, after: $after) {
    nodes {
      name
      description
      precedence
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}`;

const GET_GROUP = `query GetGroup($name: String!) {
  group(name: $name) {
    name
    description
    precedence
    createdAt
    updatedAt
  }
}`;

const USER_POOL = `query GetUserPool {
  userPool {
    attributes {
      name
      type
      required
      mutable
    }
    usernameAttributes
    aliasAttributes
    mfa
    passwordPolicy {
      minimumLength
      requireUppercase
      requireLowercase
      requireNumbers
      requireSymbols
    }
  }
}`;

const GROUPS_OF_ONE = `query ListGroupsForUser($by: UserBy!) {
  user(by: $by) {
    username
    groups(first: 10) {
      nodes {
        name
        precedence
      }
    }
  }
}`;

const DEVICES = `devices(first: 10) {
      nodes {
        key
        name
        remembered
        lastSignInAt
        lastIpAddress
      }
    }`;

const AUTH_EVENTS = `authEvents(first: 10) {
      nodes {
        id
        kind
        at
        response
        riskLevel
        ipAddress
        city
        country
        wasTheUser
      }
    }`;

const ofOne = (name, list) => `query ${name}($by: UserBy!) {
  user(by: $by) {
    username
    ${list}
  }
}`;

const ofMany = (name, list) => `query ${name}($first: Int!) {
  users(first: $first) {
    nodes {
      username
      ${list.replaceAll("\n", "\n  ")}
    }
  }
}`;

const DEVICES_OF_ONE = ofOne("ListUserDevices", DEVICES);
const DEVICES_OF_MANY = ofMany("ListUserDevices", DEVICES);
const AUTH_EVENTS_OF_ONE = ofOne("ListUserAuthEvents", AUTH_EVENTS);
const AUTH_EVENTS_OF_MANY = ofMany("ListUserAuthEvents", AUTH_EVENTS);

const GROUPS_OF_MANY = `query ListGroupsForUser($first: Int!) {
  users(first: $first) {
    nodes {
      username
      groups(first: 10) {
        nodes {
          name
          precedence
        }
      }
    }
  }
}`;

const FACTORS_OF_ONE = `query GetUserAuthFactors($by: UserBy!) {
  user(by: $by) {
    username
    authFactors {
      preferredMfa
      mfa
    }
  }
}`;

const FACTORS_OF_MANY = `query GetUserAuthFactors($first: Int!) {
  users(first: $first) {
    nodes {
      username
      authFactors {
        preferredMfa
        mfa
        firstFactors
      }
    }
  }
}`;

const SESSIONS_OF_ONE = `query ListUserSessions($by: UserBy!) {
  user(by: $by) {
    username
    sessions {
      id
      kind
      createdAt
      lastActiveAt
      deviceType
      city
    }
  }
}`;

const SESSIONS_OF_MANY = `query ListUserSessions($first: Int!) {
  users(first: $first) {
    nodes {
      username
      sessions {
        id
        kind
        lastActiveAt
        deviceType
        city
      }
    }
  }
}`;

const USERS_OF_ONE = `query ListUsersInGroup($name: String!) {
  group(name: $name) {
    name
    memberCount(upTo: 60) {
      atLeast
      exact
    }
    users(first: 10) {
      nodes {
        username
        status
        enabled
      }
    }
  }
}`;

const USERS_OF_MANY = `query ListUsersInGroup($first: Int!) {
  groups(first: $first) {
    nodes {
      name
      users(first: 10) {
        nodes {
          username
          status
          enabled
        }
      }
    }
  }
}`;
