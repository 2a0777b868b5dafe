// Prints, as JSON, what of the second schema breaks clients of the first.
import { readFileSync } from "node:fs";
import { CriticalityLevel, diff } from "@graphql-inspector/core";
import { buildSchema } from "graphql";

const [before, after] = process.argv
  .slice(2)
  .map((file) => buildSchema(readFileSync(file, "utf8")));
const changes = await diff(before, after);
const breaking = changes.filter((each) => each.criticality.level === CriticalityLevel.Breaking);
console.log(JSON.stringify(breaking.map(({ path, type, message }) => ({ path, type, message }))));
