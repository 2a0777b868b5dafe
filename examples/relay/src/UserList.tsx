// docs: list
import { graphql, useLazyLoadQuery, usePaginationFragment } from "react-relay";
import type { UserListPages$key } from "./__generated__/UserListPages.graphql";
import type { UserListPagesQuery } from "./__generated__/UserListPagesQuery.graphql";
import type { UserListQuery } from "./__generated__/UserListQuery.graphql";

export function UserList() {
  const query = useLazyLoadQuery<UserListQuery>(
    graphql`
      query UserListQuery {
        ...UserListPages
      }
    `,
    {},
  );
  return <Pages query={query} />;
}

function Pages({ query }: { query: UserListPages$key }) {
  const { data, hasNext, isLoadingNext, loadNext, refetch } = usePaginationFragment<
    UserListPagesQuery,
    UserListPages$key
  >(
    graphql`
      fragment UserListPages on Query
      @refetchable(queryName: "UserListPagesQuery")
      @argumentDefinitions(
        first: { type: "Int", defaultValue: 60 }
        after: { type: "String" }
        filter: { type: "UserFilter" }
      ) {
        users(first: $first, after: $after, filter: $filter)
          @connection(key: "UserList_users", filters: ["filter"]) {
          edges {
            node {
              id
              username
              enabled
            }
          }
        }
      }
    `,
    query,
  );
  // Null is a list that the caller may not read; one without users is empty.
  if (!data.users) return <p>You may not list users.</p>;
  const filter = { enabled: false };
  return (
    <>
      <ul>
        {data.users.edges.map(({ node }) => (
          <li key={node.id}>
            {node.username} {node.enabled ? "" : "(disabled)"}
          </li>
        ))}
      </ul>
      {hasNext && (
        <button id="more" disabled={isLoadingNext} onClick={() => loadNext(60)}>
          More
        </button>
      )}
      <button id="disabled" onClick={() => refetch({ filter }, { fetchPolicy: "network-only" })}>
        Disabled only
      </button>
    </>
  );
}
// docs: end
