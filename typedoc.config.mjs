// The documentation site, which npm run docs builds: what it is made of, and what is an error. Each
// package has a run of its own, because one run for several makes a page of modules in front and a
// navigation inside of what folds it.

import { categoriesOf, htmlFolder, jsonFile, sitePackage } from "./scripts/site/packages.mjs";
import { repositoryPage } from "./scripts/site/repository.mjs";

const { name, folder, readme, documents, modules = ["index"] } = sitePackage;

export default {
  name,
  entryPoints: modules.map((module) => `${folder}/src/${module}.ts`),
  tsconfig: `${folder}/tsconfig.json`,
  alwaysCreateEntryPointModule: false,
  theme: "site",
  plugin: ["./scripts/site/plugin.mjs"],
  outputs: [
    { name: "html", path: htmlFolder(sitePackage) },
    { name: "json", path: jsonFile(sitePackage) },
  ],
  readme,
  projectDocuments: documents,
  excludeInternal: true,
  // What a class has of one of Node's is described there.
  excludeExternals: true,
  excludePrivate: true,
  excludeProtected: true,
  disableGit: true,
  basePath: ".",
  gitRevision: "main",
  sourceLinkTemplate: `${repositoryPage("blob", "{path}")}#L{line}`,
  hideGenerator: true,
  includeVersion: false,
  categorizeByGroup: false,
  defaultCategory: "Members",
  categoryOrder: categoriesOf(sitePackage),
  sort: ["source-order"],
  navigation: { includeCategories: true, includeGroups: false, excludeReferences: true },
  navigationLinks: { GitHub: repositoryPage("blob", "README.md") },
  // The front page has a heading of its own; those of documents are their names.
  headings: { readme: false, document: true },
  searchInComments: true,
  searchInDocuments: true,
  favicon: "scripts/site/favicon.svg",
  customCss: "scripts/site/site.css",
  lightHighlightTheme: "github-light-high-contrast",
  darkHighlightTheme: "github-dark-high-contrast",
  highlightLanguages: ["ts", "js", "sh", "json", "yaml", "c", "cpp", "text"],
  treatWarningsAsErrors: true,
  treatValidationWarningsAsErrors: true,
  validation: {
    notExported: true,
    invalidLink: true,
    invalidPath: true,
    rewrittenLink: true,
    notDocumented: true,
    unusedMergeModuleWith: true,
  },
  requiredToBeDocumented: [
    "Accessor",
    "Class",
    "Constructor",
    "Enum",
    "EnumMember",
    "Function",
    "Interface",
    "Method",
    "Parameter",
    "Property",
    "TypeAlias",
    "Variable",
  ],
  packagesRequiringDocumentation: [name],
};
