// Relay: a list in pages (@connection), which is fetched again with a filter (@refetchable).
//
//   GRAPHQL_ADMIN_URL=http://127.0.0.1:8000/graphql GRAPHQL_ADMIN_TOKEN=… npm start
//
// `npm run generate` runs the compiler. This changes nothing in the pool, and clicks through the list
// as a user would, in a page without a browser. With the token of a caller without rights in
// OTHER_TOKEN, it shows the list that the caller may not read.

import assert from "node:assert/strict";
import { Window } from "happy-dom";
import { Suspense } from "react";
import { createRoot } from "react-dom/client";
import { RelayEnvironmentProvider } from "react-relay";
import { makeEnvironment } from "./environment";
import { UserList } from "./UserList";

const window = new Window();
Object.assign(globalThis, { window, document: window.document });

function show(token: string): HTMLElement {
  const page = document.createElement("main");
  document.body.append(page);
  createRoot(page).render(
    <RelayEnvironmentProvider environment={makeEnvironment(GRAPHQL_ADMIN_URL, token)}>
      <Suspense fallback={<p id="loading">Loading</p>}>
        <UserList />
      </Suspense>
    </RelayEnvironmentProvider>,
  );
  return page;
}

async function until<Value>(look: () => Value | null | undefined | false): Promise<Value> {
  for (;;) {
    const seen = look();
    if (seen) return seen;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const { GRAPHQL_ADMIN_URL = "", GRAPHQL_ADMIN_TOKEN = "", OTHER_TOKEN } = process.env;

async function main(): Promise<void> {
  const page = show(GRAPHQL_ADMIN_TOKEN);
  const rows = () => [...page.querySelectorAll("li")].map((row) => row.textContent ?? "");
  await until(() => rows().length);
  for (let more; (more = page.querySelector<HTMLButtonElement>("#more")); ) {
    const before = rows().length;
    more.click();
    await until(() => rows().length > before || !page.querySelector("#more"));
  }
  const all = rows();
  assert.equal(new Set(all).size, all.length, "no user comes twice");
  console.log(`users: ${all.length}`);
  page.querySelector<HTMLButtonElement>("#disabled")?.click();
  await until(() => rows().length && rows().length < all.length);
  assert(rows().every((row) => row.endsWith("(disabled)")));
  console.log(`disabled users: ${rows().length}`);
  if (OTHER_TOKEN) {
    const other = show(OTHER_TOKEN);
    const said = await until(() => other.querySelector("p:not(#loading)")?.textContent);
    console.log(`refused: ${said}`);
  }
  process.exit(0); // happy-dom and React have timers
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
