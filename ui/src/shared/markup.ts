// Markdown and HTML of text panels as safe nodes: what is not on the lists below does not reach the page.

const TAGS = new Set(
  'a b blockquote br caption code dd del details div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i img li ol p pre s small span strong sub summary sup table tbody td tfoot th thead tr u ul center'
    .split(' '),
);
const ATTRIBUTES = new Set(['href', 'title', 'alt', 'width', 'height', 'align', 'colspan', 'rowspan', 'target', 'src', 'open', 'style']);
const STYLES = new Set(['color', 'background-color', 'background', 'text-align', 'font-size', 'font-weight', 'font-style', 'text-decoration', 'padding', 'margin', 'border', 'border-radius', 'line-height', 'width', 'height']);

function safeUrl(url: string): boolean {
  const trimmed = url.trim().toLowerCase();
  return /^(https?:|mailto:|\/|#|\.|\?)/.test(trimmed) || !/^[a-z][a-z0-9+.-]*:/.test(trimmed);
}

function copyStyle(from: HTMLElement, to: HTMLElement): void {
  for (const name of from.style) {
    const value = from.style.getPropertyValue(name);
    // url() would fetch from elsewhere.
    if ((STYLES.has(name) || /^(padding|margin|border)-/.test(name)) && !/url\s*\(/i.test(value)) to.style.setProperty(name, value);
  }
}

function clean(node: Node, into: Node): void {
  for (const child of node.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) {
      into.appendChild(document.createTextNode(child.textContent ?? ''));
      continue;
    }
    if (!(child instanceof HTMLElement)) continue;
    const tag = child.tagName.toLowerCase();
    if (!TAGS.has(tag)) {
      // An unknown wrapper loses itself, not its words; scripts and styles lose both.
      if (!['script', 'style', 'iframe', 'object', 'embed', 'template', 'noscript'].includes(tag)) clean(child, into);
      continue;
    }
    const made = document.createElement(tag);
    for (const { name, value } of child.attributes) {
      if (!ATTRIBUTES.has(name) || name === 'style') continue;
      if (name === 'href' && !safeUrl(value)) continue;
      if (name === 'src' && !/^(data:image\/(png|jpe?g|gif|webp);|\/)/i.test(value)) continue;
      made.setAttribute(name, value);
    }
    copyStyle(child, made);
    if (tag === 'a') made.setAttribute('rel', 'noopener noreferrer');
    clean(child, made);
    into.appendChild(made);
  }
}

export function safeHtml(html: string): DocumentFragment {
  const fragment = document.createDocumentFragment();
  // A parsed document runs nothing and loads nothing.
  clean(new DOMParser().parseFromString(html, 'text/html').body, fragment);
  return fragment;
}

function escape(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}

function inline(text: string): string {
  return text
    .replace(/`([^`]+)`/g, (_, code: string) => `<code>${escape(code)}</code>`)
    .replace(/!\[([^\]]*)\]\(([^)\s]+)[^)]*\)/g, '<img alt="$1" src="$2">')
    .replace(/\[([^\]]+)\]\(([^)\s]+)[^)]*\)/g, '<a href="$2">$1</a>')
    .replace(/\*\*([^*]+)\*\*|__([^_]+)__/g, (_, a?: string, b?: string) => `<strong>${a ?? b ?? ''}</strong>`)
    .replace(/(^|[^\w*])\*([^*\s][^*]*)\*/g, '$1<em>$2</em>')
    .replace(/~~([^~]+)~~/g, '<del>$1</del>')
    .replace(/(^|\s)(https?:\/\/[^\s<]+)/g, '$1<a href="$2">$2</a>');
}

function cells(line: string): string[] {
  return line.replace(/^\s*\||\|\s*$/g, '').split('|').map((cell) => inline(cell.trim()));
}

/** The part of Markdown that dashboards use: headings, lists, tables, code, quotes, links, emphasis, and HTML in between. */
export function markdown(source: string): string {
  const lines = source.replace(/\r\n?/g, '\n').split('\n');
  const out: string[] = [];
  let paragraph: string[] = [];
  const flush = (): void => {
    if (paragraph.length > 0) out.push(`<p>${inline(paragraph.join('\n'))}</p>`);
    paragraph = [];
  };
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    const fence = /^\s*(```|~~~)/.exec(line);
    if (fence !== null) {
      flush();
      const code: string[] = [];
      at += 1;
      while (at < lines.length && !(lines[at] ?? '').trimStart().startsWith(fence[1] ?? '```')) code.push(lines[at++] ?? '');
      out.push(`<pre><code>${escape(code.join('\n'))}</code></pre>`);
      continue;
    }
    const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(line);
    if (heading !== null) {
      flush();
      out.push(`<h${heading[1]?.length ?? 1}>${inline(heading[2] ?? '')}</h${heading[1]?.length ?? 1}>`);
    } else if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(line)) {
      flush();
      out.push('<hr>');
    } else if (/^\s*(?:[-*+]|\d+[.)])\s+/.test(line)) {
      flush();
      const ordered = /^\s*\d/.test(line);
      const items: string[] = [];
      while (at < lines.length && /^\s*(?:[-*+]|\d+[.)])\s+/.test(lines[at] ?? '')) {
        items.push(`<li>${inline((lines[at] ?? '').replace(/^\s*(?:[-*+]|\d+[.)])\s+/, ''))}</li>`);
        at += 1;
      }
      at -= 1;
      out.push(`<${ordered ? 'ol' : 'ul'}>${items.join('')}</${ordered ? 'ol' : 'ul'}>`);
    } else if (line.includes('|') && /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(lines[at + 1] ?? '') && (lines[at + 1] ?? '').includes('-')) {
      flush();
      const head = cells(line).map((cell) => `<th>${cell}</th>`).join('');
      const rows: string[] = [];
      at += 2;
      while (at < lines.length && (lines[at] ?? '').includes('|')) rows.push(`<tr>${cells(lines[at++] ?? '').map((cell) => `<td>${cell}</td>`).join('')}</tr>`);
      at -= 1;
      out.push(`<table><thead><tr>${head}</tr></thead><tbody>${rows.join('')}</tbody></table>`);
    } else if (/^\s*>/.test(line)) {
      flush();
      const quoted: string[] = [];
      while (at < lines.length && /^\s*>/.test(lines[at] ?? '')) quoted.push((lines[at++] ?? '').replace(/^\s*>\s?/, ''));
      at -= 1;
      out.push(`<blockquote>${markdown(quoted.join('\n'))}</blockquote>`);
    } else if (line.trim() === '') flush();
    else paragraph.push(line);
  }
  flush();
  return out.join('\n');
}
