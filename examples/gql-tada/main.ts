// gql.tada: documents are typed by TypeScript itself, from the schema, without generated code.
//
//   GRAPHQL_ADMIN_URL=http://127.0.0.1:8000/graphql GRAPHQL_ADMIN_TOKEN=… npm start -- <username>
//
// `npm run generate` writes graphql-env.d.ts from the schema. It changes nothing in the pool.

import assert from "node:assert/strict";
import { initGraphQLTada, type ResultOf, type TadaDocumentNode } from "gql.tada";
import { print } from "graphql";
import type { introspection } from "./graphql-env";

// docs: documents
const graphql = initGraphQLTada<{ introspection: introspection; scalars: { DateTime: string } }>();

const Membership = graphql(`
  query Membership($username: String!) {
    user(by: { username: $username }) {
      username
      status
      groups {
        nodes {
          name
          createdAt
        }
      }
    }
  }
`);
// docs: end

// docs: execute
type Answer<Result> = { data?: Result | null; errors?: { extensions: { code: string } }[] };

async function execute<Result, Variables>(
  document: TadaDocumentNode<Result, Variables>,
  variables: Variables,
): Promise<Answer<Result>> {
  const response = await fetch(process.env.GRAPHQL_ADMIN_URL ?? "", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: `Bearer ${process.env.GRAPHQL_ADMIN_TOKEN}`,
    },
    body: JSON.stringify({ query: print(document), variables }),
  });
  return (await response.json()) as Answer<Result>;
}
// docs: end

const username = process.argv[2];
assert(username, "Name the user to look for.");
const { data, errors } = await execute(Membership, { username });
assert.equal(errors, undefined);
const user: ResultOf<typeof Membership>["user"] = data?.user ?? null;
assert(user, "there is no such user");
// A refused field is null, and its code is in `errors`: `groups` is not empty then.
const groups = user.groups?.nodes.map((group) => group.name) ?? [];
console.log(`groups: ${user.username} ${user.status.toLowerCase()} ${groups.join(" ")}`);
