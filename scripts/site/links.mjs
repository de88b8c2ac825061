// Follows every link of the site that stays in it: to a page, to a place in a page, to a picture.

import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { root } from "../support/paths.mjs";
import { StepError } from "../support/step.mjs";

export const siteFolder = `${root}/build/site`;

/** The pages, relative to the folder of the site. */
export function sitePages() {
  return readdirSync(siteFolder, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".html"))
    .sort();
}

function withoutEntities(text) {
  return text.replaceAll("&quot;", '"').replaceAll("&#39;", "'").replaceAll("&amp;", "&");
}

function matches(html, pattern) {
  return [...html.matchAll(pattern)].map((found) => withoutEntities(found[1]));
}

/** Throws an error that names every broken link, with its page. */
export function checkLinks() {
  const pages = new Map();
  for (const page of sitePages()) {
    const html = readFileSync(join(siteFolder, page), "utf8");
    const links = matches(html, /\s(?:href|src|srcset)="([^"]*)"/g);
    pages.set(page, { ids: new Set(matches(html, /\sid="([^"]*)"/g)), links });
  }
  const broken = [];
  let followed = 0;
  for (const [page, { links }] of pages) {
    for (const link of links) {
      if (/^(?:[a-z]+:|\/\/)/i.test(link) || link === "#") continue;
      followed++;
      const [path, place = ""] = decodeURI(link).split("#");
      const target = path === "" ? page : normalize(join(dirname(page), path));
      const file = join(siteFolder, target);
      if (!existsSync(file) || statSync(file).isDirectory()) broken.push(`${page}: ${link}`);
      else if (place !== "" && pages.has(target) && !pages.get(target).ids.has(place)) {
        broken.push(`${page}: ${link} (no such place)`);
      }
    }
  }
  if (broken.length > 0) throw new StepError(`Broken links:\n${broken.join("\n")}`);
  return `${followed} links of ${pages.size} pages`;
}
