"""Finish the built site in `site/` and follow every link in it. `nox -s docs` runs this after the build.

Pages link to programs and READMEs outside `docs/`; these files are copied below `site/source/`, so that the site is whole
wherever it is served. `llms.txt` lists the pages for language models, `llms-full.txt` holds their text
(https://llmstxt.org).
"""

from __future__ import annotations

import re
import shutil
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).parents[2]
SITE = ROOT / "site"
DOCS = ROOT / "docs"
OUTSIDE = re.compile(r'href="((?:\.\./)+(?:examples|packages|tests|README|CONTRIBUTING|CHANGELOG|SECURITY)[^"#]*)')


class Links(HTMLParser):
    """The targets that a page names, and the anchors that it has."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value is not None and tag != "base":
                self.targets.append(value)
            elif name in ("id", "name") and value:
                self.anchors.add(value)


def copy_linked_sources() -> int:
    """Copy what pages link to outside of docs/ into the site, and point the links there; return how many files."""
    copied: set[Path] = set()
    for page in SITE.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        depth = len(page.relative_to(SITE).parts) - 1

        def point_into_site(link: re.Match[str], page: Path = page, depth: int = depth) -> str:
            source = (DOCS / page.relative_to(SITE).parent / link[1]).resolve()
            if not source.is_relative_to(ROOT) or not source.exists():
                return link[0]
            source = source / "README.md" if source.is_dir() else source
            copied.add(source)
            return f'href="{"../" * depth}source/{_shown_name(source)}'

        page.write_text(OUTSIDE.sub(point_into_site, text), encoding="utf-8")
    for source in copied:
        target = SITE / "source" / _shown_name(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    return len(copied)


def _shown_name(source: Path) -> str:
    """Return the name of a copied file: browsers show .txt files, and download .py and .md files."""
    return f"{source.relative_to(ROOT).as_posix()}.txt"


def write_llms_txt() -> None:
    """Write the list of pages and the text of all of them, in the order of the menu."""
    menu = re.findall(r"- ([\w/-]+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    pages = {name: (DOCS / name).read_text(encoding="utf-8") for name in menu if not name.startswith("api/")}
    lines = [
        "# gemway",
        "",
        "> LangChain and LlamaIndex for Gemini-native gateways with Bearer auth.",
        "",
        "## Docs",
        "",
    ]
    for name, text in pages.items():
        title, _, body = text.lstrip("# ").partition("\n")
        first = re.split(r"(?<=[.:])\s", " ".join(body.strip().partition("\n\n")[0].split()))[0]
        lines.append(f"- [{title}]({name.removesuffix('.md')}.html): {first}")
    (SITE / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (SITE / "llms-full.txt").write_text("\n\n".join(pages.values()), encoding="utf-8")


def broken_links() -> list[str]:
    """Return every link in the site that leads nowhere, as `page: target`."""
    pages = {page: _read_links(page) for page in SITE.rglob("*.html") if page.name != "404.html"}
    broken = []
    for page, links in pages.items():
        for target in links.targets:
            if re.match(r"[a-z]+:|//", target) or not target:
                continue
            path, _, anchor = unquote(target).partition("#")
            file = (page.parent / path.partition("?")[0]).resolve() if path else page
            file = file / "index.html" if file.is_dir() else file
            if not file.exists() or not file.is_relative_to(SITE):
                broken.append(f"{page.relative_to(SITE)}: {target}")
            elif anchor and file in pages and anchor not in pages[file].anchors:
                broken.append(f"{page.relative_to(SITE)}: {target} (no such heading)")
    return broken


def _read_links(page: Path) -> Links:
    links = Links()
    links.feed(page.read_text(encoding="utf-8"))
    return links


if __name__ == "__main__":
    copied = copy_linked_sources()
    write_llms_txt()
    broken = broken_links()
    print(*broken, sep="\n")
    print(f"{len(list(SITE.rglob('*.html')))} pages, {copied} sources copied, {len(broken)} broken links")
    sys.exit(bool(broken))
