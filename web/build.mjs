// Bundles the pages' scripts and styles: `node build.mjs [--out DIR]` (default: ./dist).
//
// A page kind is a style sheet `styles/NAME.css`; its script is `src/NAME.ts` or, where it needs
// no script of its own, the shell's `src/base.ts`. Each page loads exactly one of either, with the
// shell's part bundled in. Files that pages share lie in `styles/base/` and in `src/` under names
// that no page has.
//
// Result: `DIR/assets/NAME-HASH.{js,css}`, `favicon-HASH.svg`, each beside `.gz` and `.br` where
// that saves anything, and `DIR/manifest.json` with the names: {"overview.js": "overview-XYZ.js"}.

import { build } from "esbuild";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const web = dirname(fileURLToPath(import.meta.url));
const outFlag = process.argv.indexOf("--out");
const out = resolve(outFlag > 0 ? process.argv[outFlag + 1] : join(web, "dist"));
const assets = join(out, "assets");

const pages = readdirSync(join(web, "styles"))
  .filter((file) => file.endsWith(".css"))
  .map((file) => basename(file, ".css"));

const entryPoints = pages.flatMap((page) => {
  const script = join(web, "src", `${page}.ts`);
  return [
    { in: join(web, "styles", `${page}.css`), out: page },
    ...(existsSync(script) ? [{ in: script, out: page }] : []),
  ];
});
entryPoints.push({ in: join(web, "src", "base.ts"), out: "base" });

rmSync(out, { recursive: true, force: true });
mkdirSync(assets, { recursive: true });

const result = await build({
  entryPoints,
  outdir: assets,
  absWorkingDir: web,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2023", "chrome123", "firefox124", "safari17.5"],
  entryNames: "[name]-[hash]",
  metafile: true,
  legalComments: "none",
  write: true,
  logLevel: "warning",
});

/** Logical name ("overview.js") to the file's name in `assets`. */
const manifest = {};
for (const [path, info] of Object.entries(result.metafile.outputs)) {
  if (!info.entryPoint) continue;
  const file = basename(path);
  const [, page, extension] = /^(.*)-[A-Z0-9]+\.(js|css)$/.exec(file) ?? [];
  if (!page) throw new Error(`unexpected output ${path}`);
  manifest[`${page}.${extension}`] = file;
}
for (const page of pages) manifest[`${page}.js`] ??= manifest["base.js"];

for (const icon of ["favicon.svg"]) {
  const bytes = readFileSync(join(web, "icons", icon));
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 8).toUpperCase();
  const file = icon.replace(".", `-${hash}.`);
  writeFileSync(join(assets, file), bytes);
  manifest[icon] = file;
}

for (const file of readdirSync(assets)) {
  const bytes = readFileSync(join(assets, file));
  const variants = {
    gz: gzipSync(bytes, { level: 9 }),
    br: brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }),
  };
  for (const [suffix, smaller] of Object.entries(variants)) {
    if (smaller.length < bytes.length * 0.95) writeFileSync(join(assets, `${file}.${suffix}`), smaller);
  }
}

writeFileSync(join(out, "manifest.json"), `${JSON.stringify(manifest, null, 2)}\n`);

if (!process.argv.includes("--quiet")) {
  for (const [name, file] of Object.entries(manifest).sort()) {
    const gz = join(assets, `${file}.gz`);
    const size = (existsSync(gz) ? readFileSync(gz) : readFileSync(join(assets, file))).length;
    console.log(`${name.padEnd(16)} ${(size / 1024).toFixed(1).padStart(6)} KB gz`);
  }
}
