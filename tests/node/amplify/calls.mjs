// Carries out calls of Admin Queries with one of Amplify's own clients, and prints what came.
//
//   node calls.mjs amplify5|amplify6 < {"endpoint": …, "token": …, "calls": [{method, path, …}]}
//
// A call with `pages` is made again with each NextToken, as Amplify's documentation does it.

import { json } from "node:stream/consumers";

const API = "AdminQueries";

/** As the Amplify CLI generates it, for an app that still calls Amplify's own Admin Queries. */
const generated = {
  aws_project_region: "eu-west-1",
  aws_cloud_logic_custom: [
    { name: API, endpoint: "https://old.invalid/dev", region: "eu-west-1" },
  ],
};

/** What docs/admin-queries.md tells to make of it. */
const moved = (config, endpoint) => ({
  ...config,
  aws_cloud_logic_custom: config.aws_cloud_logic_custom.map((api) =>
    api.name === API ? { ...api, endpoint } : api,
  ),
});

const clients = {
  async amplify5(endpoint) {
    const { Amplify, API: rest } = (await import("amplify5")).default;
    Amplify.configure(moved(generated, endpoint));
    return async ({ method, path, body, query, headers }) => {
      const options = method === "post" ? { body } : { queryStringParameters: query };
      try {
        return { status: 200, body: await rest[method](API, path, { ...options, headers }) };
      } catch (error) {
        return { status: error.response.status, body: error.response.data };
      }
    };
  },

  async amplify6(endpoint) {
    const { Amplify } = await import("amplify6");
    const rest = await import("amplify6/api");
    Amplify.configure(moved(generated, endpoint));
    return async ({ method, path, body, query, headers }) => {
      const options = method === "post" ? { body } : { queryParams: query };
      try {
        const call = rest[method]({ apiName: API, path, options: { ...options, headers } });
        const response = await call.response;
        return { status: response.statusCode, body: await response.body.json() };
      } catch (error) {
        // The client names its error after the code, and gives it the message.
        const body = JSON.parse(error.response.body);
        return { status: error.response.statusCode, body, name: error.name, text: error.message };
      }
    };
  },
};

const { endpoint, token, calls } = await json(process.stdin);
const send = await clients[process.argv[2]](endpoint);
const headers = { "Content-Type": "application/json", ...(token && { Authorization: token }) };

const answers = [];
for (const { pages = false, query, ...call } of calls) {
  let nextToken;
  do {
    const asked = pages ? { ...query, token: nextToken } : query;
    const answer = await send({ ...call, query: asked, headers });
    answers.push(answer);
    nextToken = answer.body.NextToken;
  } while (pages && nextToken);
}
console.log(JSON.stringify(answers));
