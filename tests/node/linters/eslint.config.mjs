import graphql from "@graphql-eslint/eslint-plugin";

const { configs, parser } = graphql;
const rule = (name) => `@graphql-eslint/${name}`;

export default [
  {
    files: ["**/*.graphql"],
    languageOptions: {
      parser,
      parserOptions: { graphQLConfig: { schema: "examples/schema.plain.graphql" } },
    },
    plugins: { "@graphql-eslint": graphql },
    rules: {
      ...configs["flat/schema-all"].rules,
      ...configs["flat/schema-relay"].rules,
      [rule("require-description")]: [
        "error",
        {
          types: true,
          rootField: true,
          DirectiveDefinition: true,
          EnumValueDefinition: true,
          FieldDefinition: true,
          InputValueDefinition: true,
        },
      ],
      // Cognito's lists are read forwards only.
      [rule("relay-arguments")]: ["error", { includeBoth: false }],
      // Lists that come whole, such as `errors`, are not connections, and these have `nodes` too.
      [rule("relay-edge-types")]: [
        "error",
        {
          withEdgeSuffix: true,
          shouldImplementNode: false, // a session or a device cannot be fetched by an id
          listTypeCanWrapOnlyEdgeType: false,
        },
      ],
      // Fields and values are in an order that reads well; types are sorted as they are printed.
      [rule("alphabetize")]: "off",
      // The server is here to change users.
      [rule("no-root-type")]: "off",
      // A payload has what changed; whatever else is needed is a query, with its own permission.
      [rule("require-field-of-type-query-in-mutation-result")]: "off",
      // Payloads, connections and attributes cannot be fetched again, so they have no id.
      [rule("strict-id-in-types")]: "off",
      // `username` and `userStatus` are Cognito's words.
      [rule("no-typename-prefix")]: "off",
    },
  },
];
