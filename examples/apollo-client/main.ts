// Apollo Client 4: every page of a list, an optimistic change, persisted queries, and a refusal.
//
//   GRAPHQL_ADMIN_URL=http://127.0.0.1:8000/graphql GRAPHQL_ADMIN_TOKEN=… npm start -- <username>
//
// It disables that user. The token is an administrator's; that of a caller without rights in
// OTHER_TOKEN shows what a list is that the caller may not read.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, HttpLink } from "@apollo/client";
import { InMemoryCache } from "@apollo/client/cache";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { relayStylePagination } from "@apollo/client/utilities";
import { filter, firstValueFrom } from "rxjs";
import { DISABLE_USER, USER, USERS } from "./documents";

// docs: client
const pages = relayStylePagination(["filter"]);

function makeClient(uri: string, token: string) {
  const persisted = new PersistedQueryLink({
    sha256: (text: string) => createHash("sha256").update(text).digest("hex"),
  });
  const http = new HttpLink({ uri, headers: { authorization: `Bearer ${token}` } });
  const cache = new InMemoryCache({
    typePolicies: {
      Query: {
        fields: {
          users: {
            ...pages,
            // A list that the caller may not read is null. By itself `relayStylePagination` makes
            // an empty list of it, which says that there are no users.
            merge: (existing, incoming, options) =>
              incoming === null || typeof pages.merge !== "function"
                ? incoming
                : pages.merge(existing, incoming, options),
          },
        },
      },
    },
  });
  return new ApolloClient({ link: ApolloLink.from([persisted, http]), cache });
}

function codesOf(error: unknown): unknown[] {
  if (!CombinedGraphQLErrors.is(error)) return [];
  return error.errors.map((each) => each.extensions?.code);
}
// docs: end

const { GRAPHQL_ADMIN_URL = "", GRAPHQL_ADMIN_TOKEN = "", OTHER_TOKEN } = process.env;
const username = process.argv[2];
assert(username, "Name the user to disable.");
const client = makeClient(GRAPHQL_ADMIN_URL, GRAPHQL_ADMIN_TOKEN);

// docs: pages
// With "all", one field that is refused does not take the others with it.
const errorPolicy = "all";
const list = client.watchQuery({ query: USERS, variables: { first: 60 }, errorPolicy });
const watching = list.subscribe(() => {}); // as `useQuery` would
await firstValueFrom(list.pipe(filter((result) => !result.loading)));
let page = list.getCurrentResult().data?.users?.pageInfo;
while (page?.hasNextPage) {
  const { data } = await list.fetchMore({ variables: { after: page.endCursor }, errorPolicy });
  page = data?.users?.pageInfo;
}
const users = client.readQuery({ query: USERS, variables: { first: 60 } })?.users?.edges ?? [];
// docs: end
watching.unsubscribe();
const names = users.map((edge) => edge?.node?.username);
assert.equal(new Set(names).size, names.length, "no user comes twice");
console.log(`users: ${names.length}`);

const before = (await client.query({ query: USER, variables: { username } })).data?.user;
assert(before?.enabled, "The user must be there, and enabled.");
const shown: unknown[] = [];
const watch = client.watchQuery({ query: USER, variables: { username } }).subscribe((result) => {
  if (result.dataState === "complete") shown.push(result.data.user?.enabled);
});
// docs: disable
const { data } = await client.mutate({
  mutation: DISABLE_USER,
  variables: { username },
  optimisticResponse: {
    disableUser: {
      __typename: "DisableUserPayload",
      user: { __typename: "User", id: before.id, enabled: false },
      errors: [],
    },
  },
});
// `errors` of the payload are expected outcomes; where there are any, `user` is null, and the cache
// is again what it was.
const failures = data?.disableUser?.errors ?? [];
// docs: end
watch.unsubscribe();
assert.deepEqual(failures, []);
assert.deepEqual(shown, [true, false], "the change showed at once, and stayed");
console.log(`disabled: ${username}`);

if (OTHER_TOKEN) {
  const other = makeClient(GRAPHQL_ADMIN_URL, OTHER_TOKEN);
  const refused = await other.query({ query: USERS, variables: { first: 60 }, errorPolicy });
  assert.deepEqual(codesOf(refused.error), ["FORBIDDEN"]);
  assert.equal(refused.data?.users, null, "a refusal is not an empty list");
  assert(refused.data?.viewer, "what the caller may read is there");
  console.log("refused: FORBIDDEN");
}
