// The parts that typedoc leaves to plugins: documents are named by their first heading and sorted
// into categories, and every page of the site links to the file that it was made of.

import { readFileSync, writeFileSync } from "node:fs";
import { transformSync } from "esbuild";
import { Converter, DefaultTheme, JSX, PageEvent, RendererEvent } from "typedoc";
import { root } from "../support/paths.mjs";
import { documents } from "./documents.mjs";
import { sitePackage, sitePackages } from "./packages.mjs";
import { repositoryPage } from "./repository.mjs";

const pathsOf = new WeakMap();

function categoryOf(path) {
  for (const [category, paths] of documents) if (paths.includes(path)) return category;
  return undefined;
}

function nameDocument(_context, document) {
  // The name is the path by now, without its ending.
  const path = `${document.name}.md`;
  const category = categoryOf(path);
  if (category === undefined) throw new Error(`${path} is in no category of documents.mjs`);
  pathsOf.set(document, path);
  document.frontmatter.category = category;
  // The page has the name as its heading, so the text begins behind its own.
  const text = readFileSync(`${root}/${path}`, "utf8");
  const heading = /^# (.+)$/m.exec(text)?.[1];
  const [first] = document.content;
  if (heading === undefined || first?.kind !== "text") return;
  // That of a changelog is the package's name.
  document.name = path.endsWith("CHANGELOG.md") ? "Changelog" : heading.replaceAll("`", "");
  first.text = first.text.replace(/^\s*# .+\n+/, "");
}

function editLink(context) {
  const { model } = context.page;
  const path = model.isDocument()
    ? pathsOf.get(model)
    : model.isProject()
      ? sitePackage.readme
      : model.sources?.[0]?.fileName;
  if (path === undefined) return JSX.createElement(JSX.Fragment, null);
  const link = JSX.createElement("a", { href: repositoryPage("edit", path) }, "Edit this page");
  return JSX.createElement("p", { class: "io-edit" }, link);
}

// The front pages of the other packages, above the navigation.
function packageLinks(context) {
  const up = sitePackage.path === "" ? "" : "../";
  const links = sitePackages.map(({ name, path }) => {
    if (name === sitePackage.name) return JSX.createElement("strong", null, name);
    const page = `${up}${path === "" ? "" : `${path}/`}index.html`;
    return JSX.createElement("a", { href: context.relativeURL(page) }, name);
  });
  return JSX.createElement("p", { class: "io-packages" }, ...links);
}

const searchScript = /<script async src="([^"]*search\.js)" id="tsd-search-script"><\/script>/;

// The index is larger than most pages, so it is fetched when a reader first does something.
function lazySearch(_script, path) {
  return `<script id="tsd-search-script"></script><script>{
    const load = () => { document.getElementById("tsd-search-script").src ||= "${path}"; };
    const options = { once: true, capture: true };
    for (const event of ["pointerdown", "keydown"]) addEventListener(event, load, options);
  }</script>`;
}

/**
 * What the theme leaves to be done for readers without a mouse: a link inside of what folds a
 * section is not reached by keyboard, and a wide table scrolls only when it can have the focus.
 * The parts of a member's description need no link of their own: they only make a page longer.
 */
function mend(page) {
  page.contents = page.contents
    ?.replace(/<(summary|h4)\b.*?<\/\1>/gs, (heading) =>
      heading.replace(/<a [^>]*class="tsd-anchor-icon"[^>]*>.*?<\/a>/gs, ""),
    )
    .replaceAll("<table>", '<table tabindex="0">')
    .replace(searchScript, lazySearch);
}

const ofNode = /node_modules\/@types\/node\//;

/** What Node describes itself has links into its own types, which the site has not: plain text. */
function withoutNodesLinks(_context, signature, declaration) {
  const { comment } = signature;
  if (!comment || !ofNode.test(declaration?.getSourceFile().fileName ?? "")) return;
  for (const { content } of [{ content: comment.summary }, ...comment.blockTags]) {
    for (const [index, part] of content.entries()) {
      if (part.kind !== "inline-tag" || !part.tag.startsWith("@link")) continue;
      content[index] = { kind: "code", text: `\`${part.text}\`` };
    }
  }
}

/** What folds a section is no link, too, which is not reached by keyboard. */
function foldOrLink({ path, children, ...rest }) {
  return children ? { ...rest, children: children.map(foldOrLink) } : { ...rest, path };
}

class SiteTheme extends DefaultTheme {
  buildNavigation(project) {
    return super.buildNavigation(project).map(foldOrLink);
  }
}

/** Each page loads it. */
function shortenStyles({ outputDirectory }) {
  const path = `${outputDirectory}/assets/style.css`;
  const { code } = transformSync(readFileSync(path, "utf8"), { loader: "css", minify: true });
  writeFileSync(path, code);
}

export function load(app) {
  app.renderer.defineTheme("site", SiteTheme);
  app.converter.on(Converter.EVENT_CREATE_SIGNATURE, withoutNodesLinks);
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, nameDocument);
  app.renderer.hooks.on("content.end", editLink);
  app.renderer.hooks.on("sidebar.begin", packageLinks);
  app.renderer.on(PageEvent.END, mend);
  app.renderer.on(RendererEvent.END, shortenStyles);
}
