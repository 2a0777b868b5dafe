import { HttpError } from "react-admin";

interface Problem {
  message: string;
  path?: (string | number)[];
  extensions?: { code?: string };
}

export interface ActionError {
  code: string;
  message: string;
  field: string | null;
}

export type Run = <Data>(query: string, variables: object) => Promise<Data>;

// docs: request
/** Make a function that sends an operation; `getToken` returns an access token. */
export function connect(url: string, getToken: () => Promise<string>): Run {
  return async <Data>(query: string, variables: object) => {
    const response = await fetch(url, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Authorization: `Bearer ${await getToken()}`,
      },
      body: JSON.stringify({ query, variables }),
    });
    const { data, errors = [] }: { data?: Data; errors?: Problem[] } = await response.json();
    // An error below a root field leaves the rest as it is: a change was made although the caller
    // may not read the user, or a user has no groups to show.
    const failed = errors.find((error) => (error.path ?? []).length < 2);
    if (failed || !data) {
      const code = failed?.extensions?.code;
      const status = code === "UNAUTHENTICATED" ? 401 : code === "FORBIDDEN" ? 403 : 400;
      throw new HttpError(failed?.message ?? response.statusText, status, { code });
    }
    return data;
  };
}
// docs: end

/** Throw what a payload has in `errors`: react-admin shows it beside the input, if there is one. */
export function check(errors: ActionError[], inputs: object): void {
  const [first] = errors;
  if (!first) return;
  const { code, message, field } = first;
  const beside = field && field in inputs ? { errors: { [field]: message } } : {};
  throw new HttpError(message, 400, { code, ...beside });
}
