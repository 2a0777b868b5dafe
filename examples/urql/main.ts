// urql with Graphcache: every page of a list, an optimistic change, and a refusal.
//
//   GRAPHQL_ADMIN_URL=http://127.0.0.1:8000/graphql GRAPHQL_ADMIN_TOKEN=… npm start -- <username>
//
// It disables that user. The token is an administrator's; that of a caller without rights in
// OTHER_TOKEN shows what a list is that the caller may not read.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Client, fetchExchange, gql } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";
import { buildSchema, introspectionFromSchema, isObjectType } from "graphql";

const USERS = gql<Users, { after?: string | null }>`
  query Users($after: String) {
    users(first: 60, after: $after) {
      edges { node { id username enabled } }
      pageInfo { hasNextPage endCursor }
    }
  }
`;
const USER = gql<{ user: User | null }, { username: string }>`
  query User($username: String!) { user(by: { username: $username }) { id username enabled } }
`;
const DISABLE_USER = gql<DisableUser, { input: { username: string } }>`
  mutation DisableUser($input: DisableUserInput!) {
    disableUser(input: $input) { user { id enabled } errors { code message } }
  }
`;
type User = { id: string; username: string; enabled: boolean };
type Page = { edges: { node: User }[]; pageInfo: { hasNextPage: boolean; endCursor?: string } };
type Users = { users: Page | null };
type DisableUser = { disableUser: { errors: { code: string; message: string }[] } | null };

// docs: client
const schema = buildSchema(readFileSync("../schema.plain.graphql", "utf8"));
const withoutId = Object.values(schema.getTypeMap())
  .filter((type) => isObjectType(type) && !("id" in type.getFields()))
  .map((type) => type.name);

function makeClient(url: string, token: string): Client {
  const cache = cacheExchange({
    // With the schema, a field that is refused is null in the cache, and the others are there.
    schema: introspectionFromSchema(schema),
    keys: Object.fromEntries(withoutId.map((name) => [name, () => null])),
    resolvers: { Query: { users: relayPagination() } },
    optimistic: {
      disableUser: (args, cache) => {
        const { username } = args.input as { username: string };
        const user = cache.resolve("Query", "user", { by: { username } });
        return {
          __typename: "DisableUserPayload",
          user: { __typename: "User", id: cache.resolve(user as string, "id"), enabled: false },
          errors: [],
        };
      },
    },
  });
  const fetchOptions = { headers: { authorization: `Bearer ${token}` } };
  return new Client({ url, fetchOptions, preferGetMethod: false, exchanges: [cache, fetchExchange] });
}
// docs: end

const { GRAPHQL_ADMIN_URL = "", GRAPHQL_ADMIN_TOKEN = "", OTHER_TOKEN } = process.env;
const username = process.argv[2];
assert(username, "Name the user to disable.");
const client = makeClient(GRAPHQL_ADMIN_URL, GRAPHQL_ADMIN_TOKEN);

// docs: pages
let users: Page | null | undefined;
do {
  const { data, error } = await client.query(USERS, { after: users?.pageInfo.endCursor });
  if (error) throw error;
  users = data?.users; // every page that was read so far
} while (users?.pageInfo.hasNextPage);
// docs: end
const names = users?.edges.map((edge) => edge.node.username) ?? [];
assert.equal(new Set(names).size, names.length, "no user comes twice");
console.log(`users: ${names.length}`);

const shown: unknown[] = [];
const watch = client.query(USER, { username }).subscribe(({ data }) => shown.push(data?.user?.enabled));
while (shown.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
// docs: disable
const { data, error } = await client.mutation(DISABLE_USER, { input: { username } });
if (error) throw error; // such as FORBIDDEN, in error.graphQLErrors[0].extensions.code
const failures = data?.disableUser?.errors ?? []; // expected outcomes, such as OUT_OF_SCOPE
// docs: end
watch.unsubscribe();
assert.deepEqual(failures, []);
assert.deepEqual([...new Set(shown)], [true, false], "the change showed at once, and stayed");
console.log(`disabled: ${username}`);

if (OTHER_TOKEN) {
  const other = makeClient(GRAPHQL_ADMIN_URL, OTHER_TOKEN);
  const refused = await other.query(USERS, {});
  const codes = refused.error?.graphQLErrors.map((each) => each.extensions.code);
  assert.deepEqual(codes, ["FORBIDDEN"]);
  assert.equal(refused.data?.users ?? null, null, "a refusal is not an empty list");
  console.log("refused: FORBIDDEN");
}
