// The part of graphql-admin's schema that the bench asks for, and its resolvers.
import { addUserToGroup, getUser, listGroupsForUser, listUsers } from "./cognito.js";

export const typeDefs = /* GraphQL */ `
  type Query {
    user(by: UserBy!): User
    users(first: Int = 25, after: String): UserConnection
  }

  type Mutation {
    addUserToGroup(input: AddUserToGroupInput!): AddUserToGroupPayload
  }

  input UserBy {
    username: String!
  }

  input AddUserToGroupInput {
    username: String!
    groupName: String!
  }

  type AddUserToGroupPayload {
    user: User
    errors: [ActionError!]!
  }

  type ActionError {
    code: String!
    message: String!
  }

  type User {
    id: ID!
    username: String!
    sub: String
    email: String
    emailVerified: Boolean
    phoneNumber: String
    givenName: String
    status: String
    enabled: Boolean
    createdAt: String
    updatedAt: String
    groups(first: Int = 25): GroupConnection
  }

  type UserConnection {
    edges: [UserEdge!]!
    nodes: [User!]!
    pageInfo: PageInfo!
  }

  type UserEdge {
    cursor: String!
    node: User!
  }

  type Group {
    id: ID!
    name: String!
    description: String
    precedence: Int
  }

  type GroupConnection {
    nodes: [Group!]!
  }

  type PageInfo {
    hasNextPage: Boolean!
    hasPreviousPage: Boolean!
    startCursor: String
    endCursor: String
  }
`;

export const resolvers = {
  Query: {
    user: async (_, { by }) => {
      const reply = await getUser(by.username);
      return new User(reply, reply.UserAttributes);
    },
    users: async (_, { first, after }) => {
      const [skip, token] = fromCursor(after);
      const reply = await listUsers(first, token);
      const nodes = reply.Users.slice(skip).map((user) => new User(user, user.Attributes));
      return { nodes, skip, token, nextToken: reply.PaginationToken };
    },
  },
  Mutation: {
    addUserToGroup: async (_, { input }) => {
      await addUserToGroup(input.username, input.groupName);
      return { user: { username: input.username }, errors: [] };
    },
  },
  User: {
    groups: async (user, { first }) => {
      const reply = await listGroupsForUser(user.username, first);
      return { nodes: reply.Groups.map((group) => new Group(group)) };
    },
  },
  UserConnection: {
    edges: ({ nodes, skip, token }) =>
      nodes.map((node, index) => ({ node, cursor: toCursor(skip + index + 1, token) })),
    pageInfo: ({ nodes, skip, token, nextToken }) => ({
      hasNextPage: nextToken !== undefined,
      hasPreviousPage: token !== undefined,
      startCursor: nodes.length ? toCursor(skip + 1, token) : null,
      endCursor: nextToken ? toCursor(0, nextToken) : null,
    }),
  },
};

const toId = (type, key) => Buffer.from(`${type}:${key}`).toString("base64url");

// What costs something to make, and not every selection has, is made when it is asked for.
class User {
  constructor(user, attributes) {
    this.username = user.Username;
    this.status = user.UserStatus;
    this.enabled = user.Enabled;
    this.created = user.UserCreateDate;
    this.updated = user.UserLastModifiedDate;
    for (const { Name, Value } of attributes) {
      if (Name === "sub") this.sub = Value;
      else if (Name === "email") this.email = Value;
      else if (Name === "email_verified") this.emailVerified = Value === "true";
      else if (Name === "phone_number") this.phoneNumber = Value;
      else if (Name === "given_name") this.givenName = Value;
    }
  }

  get id() {
    return toId("User", this.username);
  }

  get createdAt() {
    return this.created.toISOString();
  }

  get updatedAt() {
    return this.updated.toISOString();
  }
}

class Group {
  constructor({ GroupName, Description, Precedence }) {
    this.name = GroupName;
    this.description = Description;
    this.precedence = Precedence;
  }

  get id() {
    return toId("Group", this.name);
  }
}

// A cursor is the token of a page and the number of rows to skip in it.
const toCursor = (skip, token = "") => Buffer.from(`${skip}:${token}`).toString("base64url");

function fromCursor(cursor) {
  if (!cursor) return [0, undefined];
  const [skip, token] = Buffer.from(cursor, "base64url").toString().split(":", 2);
  return [Number(skip), token || undefined];
}
