// Bundles GraphiQL into ../assets, or with --check says whether what is there is what it would make.
//
// The versions are those of package.json, the content that of package-lock.json's hashes (npm ci
// checks them), and the output depends on nothing else, so that --check can compare bytes.
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const assets = join(here, "..", "assets");

// GraphiQL's style sheet carries 34 web fonts, six sevenths of its size. The system's own serve.
const withoutFonts = {
  name: "without-fonts",
  setup({ onLoad }) {
    onLoad({ filter: /graphiql.dist.style\.css$/ }, ({ path }) => ({
      contents: readFileSync(path, "utf8").replace(/@font-face\s*\{[^}]*\}/g, ""),
      loader: "css",
    }));
  },
};

const { outputFiles, metafile } = await build({
  absWorkingDir: here,
  entryPoints: { graphiql: "entry.js" },
  outdir: assets,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  charset: "utf8",
  define: { "process.env.NODE_ENV": '"production"' },
  legalComments: "none", // the licences are in a file of their own
  metafile: true,
  plugins: [withoutFonts],
  write: false,
});

const files = new Map(outputFiles.map(({ path, contents }) => [path, Buffer.from(contents)]));
files.set(join(assets, "graphiql.LICENSES.txt"), Buffer.from(licences(metafile)));

if (process.argv.includes("--check")) {
  const stale = [...files].filter(
    ([path, made]) => !existsSync(path) || !readFileSync(path).equals(made),
  );
  for (const [path] of stale) console.error(`${path} is not what build.js makes`);
  process.exitCode = stale.length ? 1 : 0;
} else {
  for (const [path, made] of files) {
    writeFileSync(path, made);
    console.log(`${path}: ${made.length} bytes, ${gzipSync(made, { level: 9 }).length} gzipped`);
  }
}

/** The licence of every package that has a byte in the bundle; equal texts are given once. */
function licences({ outputs }) {
  const folders = new Set();
  for (const { inputs } of Object.values(outputs)) {
    for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
      const folder = /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(path)?.[0];
      if (folder && bytesInOutput > 0) folders.add(folder);
    }
  }
  const packagesByText = new Map();
  for (const folder of [...folders].sort()) {
    const { name, version, license } = JSON.parse(readFileSync(join(here, folder, "package.json")));
    const file = readdirSync(join(here, folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file
      ? readFileSync(join(here, folder, file), "utf8").replaceAll("\r\n", "\n").trim()
      : `Licensed under ${license}; the package carries no licence text.`;
    packagesByText.set(text, [...(packagesByText.get(text) ?? []), `${name} ${version}`]);
  }
  return [...packagesByText]
    .map(([text, packages]) => `${packages.join("\n")}\n\n${text}\n`)
    .join(`\n${"-".repeat(80)}\n\n`);
}
