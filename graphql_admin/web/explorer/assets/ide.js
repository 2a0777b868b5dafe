// GraphiQL on the page, and the little that the rest of the page asks of it.

import {
  GraphiQL,
  createElement,
  createRoot,
  flushSync,
  setNonce,
  useEditorContext,
  useEffect,
} from "./graphiql.js";
import { openStorage } from "./storage.js";

/**
 * Puts GraphiQL on the page.
 * @param {HTMLElement} element Where.
 * @param {{fetcher: Function, welcome: string, nonce: string, secrets: string[]}} options The nonce
 *     admits the style that holds the page still behind an open dialog. What mentions a secret is
 *     not kept.
 * @returns {{show: Function, open: Function, clearResult: Function, empty: Function}}
 */
export function startIde(element, { fetcher, welcome, nonce, secrets }) {
  setNonce(nonce);
  const root = createRoot(element);
  let editors = null; // of GraphiQL, known once it has made them
  let shown = { readsSchema: false, generation: 0, storage: openStorage(secrets) };
  const ownQueries = new Set([welcome, ""]);

  /** Has no look; sits in GraphiQL's toolbar since that is inside, where the editors are known. */
  function Inside() {
    const context = useEditorContext({ nonNull: true });
    useEffect(() => {
      editors = context;
    });
    return null;
  }

  function show(change) {
    shown = { ...shown, ...change };
    root.render(
      createElement(
        GraphiQL,
        {
          key: shown.generation,
          fetcher,
          schema: shown.readsSchema ? undefined : null, // null: do not ask for it
          schemaDescription: true,
          inputValueDeprecation: true,
          storage: shown.storage,
          defaultQuery: welcome,
          defaultEditorToolsVisibility: "variables",
          isHeadersEditorEnabled: false, // tokens are the bar's business, and stay out of history
          shouldPersistHeaders: false,
        },
        createElement(GraphiQL.Logo, null, " "),
        createElement(GraphiQL.Toolbar, null, ({ prettify, merge, copy }) => [
          createElement(Inside, { key: "inside" }),
          createElement("span", { key: "prettify" }, prettify),
          createElement("span", { key: "merge" }, merge),
          createElement("span", { key: "copy" }, copy),
        ]),
      ),
    );
  }

  return {
    /** @param {boolean} readsSchema Whether to ask the server for its schema. */
    show: (readsSchema) => show({ readsSchema }),

    /**
     * Shows an operation, in a new tab if the operation in this one was typed by the user.
     * @param {import("./examples.js").Example} example
     */
    open({ query, operationName, variables }) {
      if (!ownQueries.has(editors.queryEditor.getValue())) {
        flushSync(() => editors.addTab());
      }
      ownQueries.add(query);
      editors.queryEditor.setValue(query);
      editors.variableEditor.setValue(JSON.stringify(variables, null, 2));
      editors.responseEditor.setValue("");
      // GraphiQL reads it from the query too, but later: an operation that was run before that would
      // be in the history under the name of the last one.
      flushSync(() => editors.setOperationName(operationName));
      editors.queryEditor.focus();
    },

    /** Takes the last result away. */
    clearResult: () => editors?.responseEditor?.setValue(""),

    /** Starts over, without anything that was typed or shown. */
    empty() {
      shown.storage.close();
      show({ generation: shown.generation + 1, storage: openStorage(secrets) });
    },
  };
}
