// What the explorer's page uses of npm; everything else is shaken out of the bundle.
export { useEditorContext } from "@graphiql/react";
export { setNonce } from "get-nonce";
export { GraphiQL } from "graphiql";
import "graphiql/style.css";
export { createElement, useEffect } from "react";
export { flushSync } from "react-dom";
export { createRoot } from "react-dom/client";
