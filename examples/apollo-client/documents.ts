import { gql, type TypedDocumentNode } from "@apollo/client";

// By hand, so that the example is whole; see ../codegen for types that are generated.
type User = { __typename: "User"; id: string; username: string; enabled: boolean };
type PageInfo = { hasNextPage: boolean; endCursor: string | null };

type Users = {
  viewer: { username: string } | null;
  users: { edges: { cursor: string; node: User }[]; pageInfo: PageInfo } | null;
};

export const USERS: TypedDocumentNode<Users, { first: number; after?: string | null }> = gql`
  query Users($first: Int!, $after: String) {
    viewer {
      username
    }
    users(first: $first, after: $after) {
      edges {
        cursor
        node {
          id
          username
          enabled
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`;

export const USER: TypedDocumentNode<{ user: User | null }, { username: string }> = gql`
  query User($username: String!) {
    user(by: { username: $username }) {
      id
      username
      enabled
    }
  }
`;

type DisableUser = {
  disableUser: {
    __typename: "DisableUserPayload";
    user: Pick<User, "__typename" | "id" | "enabled"> | null;
    errors: { code: string; message: string }[];
  } | null;
};

export const DISABLE_USER: TypedDocumentNode<DisableUser, { username: string }> = gql`
  mutation DisableUser($username: String!) {
    disableUser(input: { username: $username }) {
      user {
        id
        enabled
      }
      errors {
        code
        message
      }
    }
  }
`;
