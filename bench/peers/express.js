// The REST API of Amplify's Admin Queries: the same routes, replies and group check, on Express.
import express from "express";
import { addUserToGroup, authenticate, getUser, listGroupsForUser, listUsers } from "./cognito.js";

const app = express();
app.disable("etag"); // replies are not for caches; saves a hash of each
app.disable("x-powered-by");
app.use(express.json());

app.use(async (request, response, next) => {
  await authenticate(request.headers.authorization);
  next();
});

app.post("/addUserToGroup", async ({ body: { username, groupname } }, response) => {
  await addUserToGroup(username, groupname);
  response.json({ message: `Success adding ${username} to ${groupname}` });
});

app.get("/getUser", async ({ query }, response) => {
  response.json(await getUser(query.username));
});

app.get("/listUsers", async ({ query }, response) => {
  const reply = await listUsers(Number(query.limit ?? 25), query.token);
  // Amplify gives the token the one name that the other lists use.
  reply.NextToken = reply.PaginationToken;
  delete reply.PaginationToken;
  response.json(reply);
});

app.get("/listGroupsForUser", async ({ query }, response) => {
  response.json(await listGroupsForUser(query.username, Number(query.limit ?? 25), query.token));
});

app.use((error, request, response, next) => {
  response.status(error.status ?? 500).json({ message: error.message });
});

app.listen(process.env.PORT, "127.0.0.1");
