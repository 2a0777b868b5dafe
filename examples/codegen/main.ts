// GraphQL Code Generator's client preset: typed documents, sent with `fetch` alone.
//
//   GRAPHQL_ADMIN_URL=http://127.0.0.1:8000/graphql GRAPHQL_ADMIN_TOKEN=… npm start -- <username>
//
// `npm run generate` writes ./gql from the schema and the documents below; it changes nothing.

import assert from "node:assert/strict";
import { graphql, useFragment as readFragment } from "./gql";
import type { TypedDocumentString } from "./gql/graphql";

// docs: execute
type Answer<Result> = { data?: Result | null; errors?: { extensions: { code: string } }[] };

async function execute<Result, Variables>(
  document: TypedDocumentString<Result, Variables>,
  variables: Variables,
): Promise<Answer<Result>> {
  const response = await fetch(process.env.GRAPHQL_ADMIN_URL ?? "", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: `Bearer ${process.env.GRAPHQL_ADMIN_TOKEN}`,
    },
    body: JSON.stringify({ query: document, variables }),
  });
  return (await response.json()) as Answer<Result>;
}
// docs: end

// docs: documents
const Row = graphql(`
  fragment Row on User {
    username
    status
    createdAt
  }
`);
const Search = graphql(`
  query Search($filter: UserFilter!) {
    users(filter: $filter) {
      nodes {
        ...Row
      }
    }
  }
`);
// docs: end

const username = process.argv[2];
assert(username, "Name the user to look for.");
const { data, errors } = await execute(Search, { filter: { username: { equals: username } } });
assert.equal(errors, undefined);
const rows = readFragment(Row, data?.users?.nodes ?? []);
assert.deepEqual(rows.map((row) => row.username), [username]);
for (const { username, status, createdAt } of rows) {
  // `status` is a union of strings and `createdAt` a string, both from the schema.
  console.log(`found: ${username} ${status.toLowerCase()} ${createdAt?.slice(0, 4)}`);
}
