import type { DataProvider, RaRecord } from "react-admin";
import { HttpError } from "react-admin";
import type { ActionError, Run } from "./graphql";
import { check } from "./graphql";

interface User extends RaRecord<string> {
  username: string;
  sub: string;
  updatedAt: string;
}

interface Page {
  nodes: RaRecord<string>[];
  pageInfo: { hasNextPage: boolean; endCursor: string | null };
}

const FIELDS: Record<string, string> = {
  users: "id username sub email emailVerified fullName status enabled createdAt updatedAt",
  groups: "id name description precedence",
};

const EDITABLE = ["email", "emailVerified", "fullName", "givenName", "familyName"];

const MAX_NODES = 60; // ids that `nodes` takes

const unsupported = () => Promise.reject(new Error("The example does not do this."));

export function makeDataProvider(run: Run): DataProvider {
  // docs: pages
  // Where the pages of each list start that were read: `before` items come before the cursor.
  const lists = new Map<string, { after: string | null; before: number }[]>();

  /** Read page `page` of a list: react-admin counts pages, and the server has cursors. */
  async function readPage(resource: string, page: number, first: number, filter: object) {
    const variables = resource === "users" ? { filter: toUserFilter(filter) } : {};
    const declared = resource === "users" ? ", $filter: UserFilter" : "";
    const argument = resource === "users" ? ", filter: $filter" : "";
    const query = `query List($first: Int!, $after: String${declared}) {
      list: ${resource}(first: $first, after: $after${argument}) {
        nodes { ${FIELDS[resource]} }
        pageInfo { hasNextPage endCursor }
      }
    }`;
    const key = JSON.stringify([resource, first, variables]);
    const starts = lists.get(key) ?? [{ after: null, before: 0 }];
    lists.set(key, starts);
    // A page that was not read yet, such as of a bookmark, is read from the last that was.
    for (let number = Math.min(page, starts.length); ; number++) {
      const { after, before } = starts[number - 1]!;
      const { list } = await run<{ list: Page }>(query, { ...variables, first, after });
      const { hasNextPage, endCursor } = list.pageInfo;
      const seen = before + list.nodes.length;
      if (hasNextPage) starts[number] = { after: endCursor, before: seen };
      if (number === page) {
        // Cognito does not count: how many there are is known on the last page.
        const total = hasNextPage ? undefined : seen;
        return { data: list.nodes, total, pageInfo: { hasNextPage, hasPreviousPage: page > 1 } };
      }
      if (!hasNextPage) {
        return { data: [], total: seen, pageInfo: { hasNextPage, hasPreviousPage: true } };
      }
    }
  }
  // docs: end

  async function readNodes(resource: string, ids: string[]) {
    const type = resource === "users" ? "User" : "Group";
    const found: (RaRecord<string> | null)[] = [];
    for (let from = 0; from < ids.length; from += MAX_NODES) {
      const some = ids.slice(from, from + MAX_NODES);
      const query = `query Nodes($ids: [ID!]!) {
        nodes(ids: $ids) { ... on ${type} { ${FIELDS[resource]} } }
      }`;
      found.push(...(await run<{ nodes: (RaRecord<string> | null)[] }>(query, { ids: some })).nodes);
    }
    return found.filter((node) => node !== null);
  }

  /** Run a mutation whose payload has the user; `given` stands for one that may not be read. */
  async function change(mutation: string, input: object, given: RaRecord): Promise<RaRecord> {
    const inputType = `${mutation[0]!.toUpperCase()}${mutation.slice(1)}Input`;
    const { payload } = await run<{ payload: { errors: ActionError[]; user: User | null } }>(
      `mutation Change($input: ${inputType}!) {
        payload: ${mutation}(input: $input) {
          errors { code message field }
          user { ${FIELDS.users} }
        }
      }`,
      { input },
    );
    check(payload.errors, given);
    return payload.user ?? given;
  }

  const provider = {
    async getList(resource, { pagination, filter }) {
      const { page, perPage } = pagination ?? { page: 1, perPage: 25 };
      try {
        return await readPage(resource, page, perPage, filter);
      } catch (error) {
        // Cognito forgets cursors after an hour: read the list from its start.
        if (!(error instanceof HttpError && error.body?.code === "INVALID_CURSOR")) throw error;
        lists.clear();
        return readPage(resource, page, perPage, filter);
      }
    },

    async getOne(resource, { id }) {
      const groups = resource === "users" ? "groups { nodes { id } }" : "";
      const type = resource === "users" ? "User" : "Group";
      const { node } = await run<{ node: (User & { groups?: Page | null }) | null }>(
        `query One($id: ID!) { node(id: $id) { ... on ${type} { ${FIELDS[resource]} ${groups} } } }`,
        { id },
      );
      if (!node) throw new HttpError("It does not exist any more.", 404);
      return { data: { ...node, groupIds: node.groups?.nodes.map((group) => group.id) ?? [] } };
    },

    async getMany(resource, { ids }) {
      return { data: await readNodes(resource, ids.map(String)) };
    },

    async create(_resource, { data }) {
      const created = await change("createUser", data, { ...data, id: data.username });
      lists.clear(); // what comes before each page has changed
      return { data: created };
    },

    async update(_resource, { data, previousData }) {
      const changed = EDITABLE.filter((name) => data[name] !== previousData[name]);
      const input = Object.fromEntries(changed.map((name) => [name, data[name]]));
      // An address goes with whether it is verified, and null, which deletes it, goes alone.
      if ("email" in input || "emailVerified" in input) {
        input.email = data.email;
        input.emailVerified = data.email ? (data.emailVerified ?? false) : undefined;
      }
      const { username, updatedAt } = previousData as User;
      return {
        data: await change("updateUser", { username, ifUpdatedAt: updatedAt, ...input }, {
          ...previousData,
          ...data,
        }),
      };
    },

    async delete(_resource, { previousData }) {
      const { username, sub } = previousData as unknown as User;
      const { payload } = await run<{ payload: { errors: ActionError[] } }>(
        `mutation Delete($input: DeleteUserInput!) {
          payload: deleteUser(input: $input) { errors { code message field } }
        }`,
        { input: { username, ifSub: sub } },
      );
      check(payload.errors, {});
      lists.clear();
      return { data: previousData };
    },

    getManyReference: unsupported,
    updateMany: unsupported,
    deleteMany: unsupported,
  } as DataProvider;
  return provider;
}

/** Cognito filters by one attribute; strings are compared from their start. */
function toUserFilter(filter: object): object | null {
  const given = Object.entries(filter).filter(([, value]) => value !== "" && value !== undefined);
  if (given.length > 1) throw new Error("Search by one attribute at a time.");
  const [condition] = given.map(([name, value]) => ({
    [name]: typeof value === "string" && name !== "status" ? { startsWith: value } : value,
  }));
  return condition ?? null;
}
