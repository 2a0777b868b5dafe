import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: "../schema.plain.graphql",
  documents: "main.ts",
  generates: {
    "./gql/": {
      preset: "client",
      config: {
        documentMode: "string",
        scalars: { DateTime: "string" },
        enumsAsTypes: true,
        useTypeImports: true,
      },
    },
  },
};

export default config;
