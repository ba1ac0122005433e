// The box that follows the pointer. Plain DOM: it moves with every pointer event and must not wake the view.

export interface TooltipRow {
  name: string;
  value: string;
  color: string;
  strong: boolean;
}

const MOST_ROWS = 30;

export class Tooltip {
  readonly #box: HTMLElement;

  constructor() {
    this.#box = document.createElement('div');
    this.#box.className = 'tooltip';
    this.#box.hidden = true;
    document.body.append(this.#box);
  }

  show(title: string, rows: readonly TooltipRow[], x: number, y: number): void {
    if (rows.length === 0) {
      this.hide();
      return;
    }
    const head = document.createElement('div');
    head.className = 'tooltip-title';
    head.textContent = title;
    const list = document.createElement('div');
    list.className = 'tooltip-rows';
    // The series under the pointer is never among those cut off.
    const kept = rows.length <= MOST_ROWS ? rows : [...rows].sort((a, b) => Number(b.strong) - Number(a.strong)).slice(0, MOST_ROWS);
    for (const row of kept) {
      const swatch = document.createElement('i');
      swatch.style.background = row.color;
      const name = document.createElement('span');
      name.textContent = row.name;
      const value = document.createElement('b');
      value.textContent = row.value;
      if (row.strong && rows.length > 1) {
        name.className = 'strong';
        value.className = 'strong';
      }
      list.append(swatch, name, value);
    }
    if (kept.length < rows.length) {
      const more = document.createElement('span');
      more.className = 'tooltip-more';
      more.textContent = `+${rows.length - kept.length}`;
      list.append(more);
    }
    this.#box.replaceChildren(head, list);
    this.#box.hidden = false;
    const { width, height } = this.#box.getBoundingClientRect();
    const left = x + 16 + width > window.innerWidth ? x - width - 16 : x + 16;
    const top = y + 16 + height > window.innerHeight ? window.innerHeight - height - 8 : y + 16;
    this.#box.style.transform = `translate(${Math.max(4, left)}px, ${Math.max(4, top)}px)`;
  }

  hide(): void {
    this.#box.hidden = true;
  }

  remove(): void {
    this.#box.remove();
  }
}
