// What every Node peer knows of Cognito: the client, who is calling, and a user in plain fields.
import http from "node:http";
import {
  AdminAddUserToGroupCommand,
  AdminGetUserCommand,
  AdminListGroupsForUserCommand,
  CognitoIdentityProviderClient,
  ListUsersCommand,
} from "@aws-sdk/client-cognito-identity-provider";
import { NodeHttpHandler } from "@smithy/node-http-handler";
import { CognitoJwtVerifier } from "aws-jwt-verify";

const UserPoolId = process.env.USER_POOL_ID;

// Endpoint, region and credentials come from AWS's own variables.
const client = new CognitoIdentityProviderClient({
  requestHandler: new NodeHttpHandler({
    httpAgent: new http.Agent({ keepAlive: true, maxSockets: 128 }),
    socketAcquisitionWarningTimeout: 60_000,
  }),
  cacheMiddleware: true, // resolve the middleware of each command once
});
// It takes every reply apart for a log, even where there is no logger.
client.middlewareStack.remove("loggerMiddleware");

const verifier = CognitoJwtVerifier.create({
  userPoolId: UserPoolId,
  clientId: process.env.CLIENT_ID,
  tokenUse: "access",
});
// The pool of the bench has no address of its own, so its keys are put in by hand, once.
verifier.cacheJwks(await (await fetch(process.env.JWKS_URL)).json());

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

// Verifies the token on every request, and lets members of the group Admins pass.
export async function authenticate(authorization = "") {
  let claims;
  try {
    claims = await verifier.verify(authorization.replace(/^Bearer /, ""));
  } catch {
    throw new Refused(401, "The token is not valid");
  }
  if (!claims["cognito:groups"]?.includes("Admins")) {
    throw new Refused(403, "The caller is not an administrator");
  }
  return claims;
}

export const listUsers = (Limit, PaginationToken) =>
  client.send(new ListUsersCommand({ UserPoolId, Limit, PaginationToken }));

export const getUser = (Username) =>
  client.send(new AdminGetUserCommand({ UserPoolId, Username }));

export const addUserToGroup = (Username, GroupName) =>
  client.send(new AdminAddUserToGroupCommand({ UserPoolId, Username, GroupName }));

export const listGroupsForUser = (Username, Limit, NextToken) =>
  client.send(new AdminListGroupsForUserCommand({ UserPoolId, Username, Limit, NextToken }));
