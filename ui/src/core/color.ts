// Colours: names as Grafana's, palettes, and colour by value.

const SHADES = ['super-light', 'light', '', 'semi-dark', 'dark'] as const;
// Our own hues, five shades each, chosen to stay apart on light and dark grounds.
const HUES: Readonly<Record<string, readonly string[]>> = {
  red: ['#ffa3ad', '#ff7585', '#f14a5c', '#dd3447', '#bf2033'],
  orange: ['#ffcc99', '#ffb066', '#fb9334', '#f57c12', '#e5630a'],
  yellow: ['#fff0a3', '#ffe873', '#f8d938', '#eec418', '#d9a60d'],
  green: ['#c3e8b5', '#95d681', '#70bd5d', '#53a545', '#368a31'],
  blue: ['#bfdbff', '#86b8f8', '#5592ee', '#3874de', '#2259c7'],
  purple: ['#dfc2f5', '#cb97ea', '#b573db', '#9f51c9', '#8239ad'],
};

const PALETTE = [
  '#5a9f52', '#e0a526', '#4b8fd8', '#e2703a', '#c9434e', '#8468c4', '#3aa6a0', '#b0863c', '#d06aa6', '#7d94ab',
  '#93c47d', '#f1c667', '#8ab9ec', '#f0a07c', '#e58a91', '#b09be0', '#7fcac5', '#d3b684', '#e5a5cb', '#adbccb',
  '#3d7437', '#a87a12', '#2c659f', '#a84d20', '#932d37', '#5b4493', '#22746f', '#7c5c22', '#97427a', '#54697e',
];

export function paletteColor(index: number): string {
  return PALETTE[((index % PALETTE.length) + PALETTE.length) % PALETTE.length] ?? '#5592ee';
}

/** The same name, the same colour, wherever it is drawn. */
export function colorByName(name: string): string {
  let hash = 0;
  for (let i = 0; i < name.length; i += 1) hash = (Math.imul(hash, 31) + name.charCodeAt(i)) | 0;
  return paletteColor(Math.abs(hash));
}

const SCHEMES: Readonly<Record<string, readonly string[]>> = {
  'GrYlRd': ['#70bd5d', '#f8d938', '#f14a5c'],
  'RdYlGr': ['#f14a5c', '#f8d938', '#70bd5d'],
  'BlYlRd': ['#5592ee', '#f8d938', '#f14a5c'],
  'YlRd': ['#f8d938', '#f14a5c'],
  'BlPu': ['#5592ee', '#b573db'],
  'YlBl': ['#f8d938', '#5592ee'],
  'blues': ['#dbe9fc', '#1b4fa8'],
  'reds': ['#fbdfe2', '#a5172a'],
  'greens': ['#e0f3da', '#256b21'],
  'purples': ['#ecdff7', '#63248c'],
  'viridis': ['#440154', '#31688e', '#35b779', '#fde725'],
  'magma': ['#0b0924', '#721f81', '#f1605d', '#fcfdbf'],
  'plasma': ['#0d0887', '#9c179e', '#ed7953', '#f0f921'],
  'inferno': ['#0d0829', '#88226a', '#f98e09', '#fcffa4'],
  'cividis': ['#00224e', '#575d6d', '#a59c74', '#fee838'],
};

function parts(hex: string): [number, number, number] {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

/** The colour at `share` (0 to 1) of a continuous scheme, e.g. "continuous-GrYlRd". */
export function schemeColor(mode: string, share: number): string {
  const stops = SCHEMES[mode.replace('continuous-', '')] ?? SCHEMES['GrYlRd'] ?? [];
  const at = Math.min(Math.max(Number.isFinite(share) ? share : 0, 0), 1) * (stops.length - 1);
  const low = parts(stops[Math.floor(at)] ?? '#888888');
  const high = parts(stops[Math.ceil(at)] ?? '#888888');
  const mix = low.map((channel, index) => Math.round(channel + ((high[index] ?? channel) - channel) * (at - Math.floor(at))));
  return `rgb(${mix.join(', ')})`;
}

/** A colour name of a dashboard as CSS: "semi-dark-blue", "#fff", "rgba(…)", "text". */
export function resolveColor(name: string): string {
  if (name === 'text') return 'var(--text)';
  if (name === 'panel-bg') return 'var(--panel)';
  if (name.startsWith('#') || name.startsWith('rgb') || name === 'transparent') return name;
  const dash = name.lastIndexOf('-');
  const hue = HUES[dash === -1 ? name : name.slice(dash + 1)];
  const shade = SHADES.indexOf((dash === -1 ? '' : name.slice(0, dash)) as (typeof SHADES)[number]);
  return hue?.[shade === -1 ? 2 : shade] ?? name;
}

/** The same colour, see-through. Works on hex, rgb() and named colours alike. */
export function fade(color: string, alpha: number): string {
  if (/^#[0-9a-f]{6}$/i.test(color)) {
    const [r, g, b] = parts(color);
    return `rgba(${r}, ${g}, ${b}, ${alpha})`;
  }
  const rgb = /^rgba?\(([^)]+)\)$/.exec(color);
  if (rgb !== null) return `rgba(${(rgb[1] ?? '').split(',').slice(0, 3).join(',')}, ${alpha})`;
  return `color-mix(in srgb, ${color} ${Math.round(alpha * 100)}%, transparent)`;
}
