// Reading JSON of unknown shape: each reader returns the value when it has the wanted type, else the fallback.
// Dashboards come from many hands and versions, so a wrong field is read as absent and never throws.

export type Obj = { [key: string]: unknown };

export function isObj(value: unknown): value is Obj {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function obj(value: unknown): Obj {
  return isObj(value) ? value : {};
}

export function arr(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

export function objs(value: unknown): Obj[] {
  return arr(value).filter(isObj);
}

export function str(value: unknown, fallback = ''): string {
  return typeof value === 'string' ? value : fallback;
}

export function bool(value: unknown, fallback = false): boolean {
  return typeof value === 'boolean' ? value : fallback;
}

/** Numbers, and numbers written as text ("80"), as old dashboards do. */
export function num(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (typeof value === 'string' && value.trim() !== '') {
    const parsed = Number(value);
    return Number.isFinite(parsed) ? parsed : undefined;
  }
  return undefined;
}

export function strs(value: unknown): string[] {
  return arr(value).filter((item): item is string => typeof item === 'string');
}

/** One of the allowed words, else the first. */
export function word<const T extends readonly [string, ...string[]]>(value: unknown, allowed: T): T[number] {
  return typeof value === 'string' && (allowed as readonly string[]).includes(value) ? value : allowed[0];
}
