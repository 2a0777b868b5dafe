// Two subgraphs of other teams: one knows people by `sub`, the other by username.

import { ApolloServer } from '@apollo/server';
import { startStandaloneServer } from '@apollo/server/standalone';
import { buildSubgraphSchema } from '@apollo/subgraph';
import { readFileSync } from 'node:fs';
import { parse } from 'graphql';

const PEOPLE = 30;
const ROWS = 60;

// People are numbered as the directory of the tests numbers them; there is no user with the last
// number.
const sub = (number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
const username = (number) => `user${String(number).padStart(4, '0')}`;
const GONE = 9999;

const rows = Array.from({ length: ROWS }, (_, number) => ({
  id: String(number),
  person: number % PEOPLE,
}));
const orders = rows.map(({ id, person }) => ({ id, buyer: { sub: sub(person) } }));
const documents = rows.map(({ id, person }) => ({ id, owner: { username: username(person) } }));

const resolvers = {
  orders: {
    Query: {
      orders: (_, { first }) => orders.slice(0, first),
      abandonedOrder: () => ({ id: 'abandoned', buyer: { sub: sub(GONE) } }),
    },
    User: {
      orders: (user) => orders.filter(({ buyer }) => buyer.sub === user.sub),
      // Where the caller may not read it, Hive Gateway hands over the error in place of the value.
      mailbox: ({ email }) => (typeof email === 'string' ? `mailto:${email}` : null),
    },
  },
  documents: {
    Query: {
      documents: (_, { first }) => documents.slice(0, first),
    },
    User: {
      documents: (user) => documents.filter(({ owner }) => owner.username === user.username),
    },
  },
};

for (const [name, functions] of Object.entries(resolvers)) {
  const typeDefs = parse(readFileSync(new URL(`${name}.graphql`, import.meta.url), 'utf8'));
  const schema = buildSubgraphSchema({ typeDefs, resolvers: functions });
  const server = new ApolloServer({ schema });
  const { url } = await startStandaloneServer(server, { listen: { host: '127.0.0.1', port: 0 } });
  console.log(`${name} at ${url}`);
}
