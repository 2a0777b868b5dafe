// Composes the subgraphs on standard input with the composer that the argument names.

import * as apollo from '@apollo/composition';
import * as hive from '@theguild/federation-composition';
import { parse } from 'graphql';
import { text } from 'node:stream/consumers';

const { composeServices } = { apollo, hive }[process.argv[2]];
const subgraphs = JSON.parse(await text(process.stdin));
const { errors, hints, supergraphSdl } = composeServices(
  subgraphs.map(({ name, url, sdl }) => ({ name, url, typeDefs: parse(sdl) })),
);
const messages = (problems) => (problems ?? []).map(({ message }) => message);
const composition = { errors: messages(errors), hints: messages(hints) };
console.log(JSON.stringify({ ...composition, supergraph: supergraphSdl }));
