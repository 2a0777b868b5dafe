import { defineConfig } from "vite";

// `npm run dev` passes requests on to `make dev`, so that the browser needs no CORS.
export default defineConfig({
  server: { proxy: { "/graphql": "http://127.0.0.1:8000" } },
  build: { chunkSizeWarningLimit: 2000 },
});
