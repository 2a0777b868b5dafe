// Mercurius on Fastify, with its just-in-time compiler on from a query's first execution.
import Fastify from "fastify";
import mercurius from "mercurius";
import { authenticate } from "./cognito.js";
import { resolvers, typeDefs } from "./schema.js";

const app = Fastify({ logger: false });

app.register(mercurius, {
  schema: typeDefs,
  resolvers,
  jit: 1,
  path: "/graphql",
  context: async (request) => {
    try {
      return { caller: await authenticate(request.headers.authorization) };
    } catch (error) {
      throw new mercurius.ErrorWithProps(error.message, {}, error.status);
    }
  },
});

await app.listen({ host: "127.0.0.1", port: Number(process.env.PORT) });
