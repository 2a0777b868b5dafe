// GraphQL Yoga on Node's own HTTP server. Its parser and validation caches are on by default.
import { createServer } from "node:http";
import { GraphQLError } from "graphql";
import { createSchema, createYoga } from "graphql-yoga";
import { authenticate } from "./cognito.js";
import { resolvers, typeDefs } from "./schema.js";

const yoga = createYoga({
  schema: createSchema({ typeDefs, resolvers }),
  logging: false,
  graphiql: false,
  landingPage: false,
  multipart: false,
  context: async ({ request }) => {
    try {
      return { caller: await authenticate(request.headers.get("authorization") ?? "") };
    } catch (error) {
      throw new GraphQLError(error.message, { extensions: { http: { status: error.status } } });
    }
  },
});

createServer(yoga).listen(process.env.PORT, "127.0.0.1");
