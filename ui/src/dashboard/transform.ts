// Transformations between query and panel. Those we do not know are listed, so that a panel can say what is missing.

import { arr, bool, isObj, num, obj, objs, str, strs } from '../core/json';
import { reduceNumber, reducerTitle } from '../core/reduce';
import { makeField, numbers, type Cell, type Field, type Frame } from './frames';
import type { Transformation } from './model';
import { parseRegex } from './variables';

export interface Transformed {
  frames: Frame[];
  unknown: string[];
}

function rows(frame: Frame): number {
  return Math.max(0, ...frame.fields.map((field) => field.values.length));
}

function nameOf(field: Field): string {
  return field.legend ?? field.name;
}

/** Rows that agree in all shared text columns become one; frames without shared columns are appended. */
function merge(frames: readonly Frame[]): Frame[] {
  if (frames.length < 2) return [...frames];
  const wide = frames.map((frame) => ({ ...frame, fields: frame.fields.map((field) => ({ ...field, name: nameOf(field), legend: undefined })) }));
  const columns = new Map<string, Field>();
  for (const field of wide.flatMap((frame) => frame.fields)) if (!columns.has(field.name)) columns.set(field.name, { ...field, values: [] });
  const shared = [...columns.keys()].filter((name) => wide.every((frame) => frame.fields.some((field) => field.name === name)));
  const merged = new Map<string, Map<string, Cell>>();
  wide.forEach((frame, frameIndex) => {
    for (let row = 0; row < rows(frame); row += 1) {
      const cells = new Map(frame.fields.map((field) => [field.name, field.values[row] ?? null]));
      const key = shared.length === 0 ? `${frameIndex}/${row}` : JSON.stringify(shared.map((name) => cells.get(name) ?? null));
      let target = merged.get(key);
      let copy = 0;
      // A second row with the same key and another value stays a row of its own.
      while (target !== undefined && [...cells].some(([name, value]) => !shared.includes(name) && target?.get(name) !== undefined && target.get(name) !== value)) {
        copy += 1;
        target = merged.get(`${key}#${copy}`);
      }
      if (target === undefined) merged.set(copy === 0 ? key : `${key}#${copy}`, cells);
      else for (const [name, value] of cells) target.set(name, value);
    }
  });
  const fields = [...columns.values()].map((field) => ({ ...field, values: [...merged.values()].map((cells) => cells.get(field.name) ?? null) }));
  return [{ refId: frames[0]?.refId ?? 'A', fields }];
}

function organize(frames: readonly Frame[], options: Transformation['options']): Frame[] {
  const excluded = obj(options['excludeByName']);
  const order = obj(options['indexByName']);
  const renamed = obj(options['renameByName']);
  return frames.map((frame) => ({
    ...frame,
    fields: frame.fields
      .filter((field) => excluded[nameOf(field)] !== true)
      .map((field, index) => ({ field, at: num(order[nameOf(field)]) ?? 1000 + index }))
      .sort((a, b) => a.at - b.at)
      .map(({ field }) => {
        const name = str(renamed[nameOf(field)]);
        return name === '' ? field : { ...field, name, legend: field.legend === undefined ? undefined : name };
      }),
  }));
}

function filterByName(frames: readonly Frame[], options: Transformation['options']): Frame[] {
  const include = obj(options['include']);
  const exclude = obj(options['exclude']);
  const test = (side: typeof include, name: string): boolean => {
    const pattern = str(side['pattern']);
    return strs(side['names']).includes(name) || (pattern !== '' && (parseRegex(pattern)?.test(name) ?? false));
  };
  const including = strs(include['names']).length > 0 || str(include['pattern']) !== '';
  return frames
    .map((frame) => ({ ...frame, fields: frame.fields.filter((field) => (!including || test(include, nameOf(field))) && !test(exclude, nameOf(field))) }))
    .filter((frame) => frame.fields.length > 0);
}

function renameByRegex(frames: readonly Frame[], options: Transformation['options']): Frame[] {
  const regex = parseRegex(str(options['regex']));
  if (regex === undefined) return [...frames];
  const replacement = str(options['renamePattern']);
  return frames.map((frame) => ({
    ...frame,
    fields: frame.fields.map((field) => {
      if (field.type === 'time') return field;
      const name = nameOf(field).replace(regex, replacement);
      return { ...field, name, legend: field.legend === undefined ? undefined : name };
    }),
  }));
}

function compareCells(a: Cell, b: Cell): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? -1 : 1;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

/** The same rows of every column, in another order. */
export function pickRows(frame: Frame, order: readonly number[]): Frame {
  return { ...frame, fields: frame.fields.map((field) => ({ ...field, values: order.map((row) => field.values[row] ?? null) })) };
}

export function sortFrame(frame: Frame, column: string, descending: boolean): Frame {
  const field = frame.fields.find((candidate) => nameOf(candidate) === column || candidate.display === column);
  if (field === undefined) return frame;
  const order = Array.from({ length: rows(frame) }, (_, row) => row);
  order.sort((a, b) => compareCells(field.values[a] ?? null, field.values[b] ?? null) * (descending ? -1 : 1));
  return pickRows(frame, order);
}

function joinByField(frames: readonly Frame[], options: Transformation['options']): Frame[] {
  const wanted = str(options['byField']);
  const keyOf = (frame: Frame): Field | undefined =>
    frame.fields.find((field) => (wanted === '' ? field.type === 'time' : nameOf(field) === wanted));
  const usable = frames.filter((frame) => keyOf(frame) !== undefined);
  const first = usable[0];
  const key = first === undefined ? undefined : keyOf(first);
  if (first === undefined || key === undefined) return [...frames];
  const inner = options['mode'] === 'inner';
  let keys = [...new Set(usable.flatMap((frame) => keyOf(frame)?.values ?? []))].sort(compareCells);
  if (inner) keys = keys.filter((value) => usable.every((frame) => keyOf(frame)?.values.includes(value)));
  const others = usable.flatMap((frame) => {
    const own = keyOf(frame);
    const place = new Map((own?.values ?? []).map((value, index) => [value, index]));
    return frame.fields
      .filter((field) => field !== own)
      .map((field) => ({ ...field, values: keys.map((value) => field.values[place.get(value) ?? -1] ?? null) }));
  });
  return [{ refId: first.refId, fields: [{ ...key, values: keys }, ...others] }];
}

function reduceFrames(frames: readonly Frame[], options: Transformation['options']): Frame[] {
  const reducers = strs(options['reducers']);
  const ids = reducers.length > 0 ? reducers : ['max'];
  const fields = frames.flatMap((frame) => frame.fields.filter((field) => field.type === 'number'));
  if (options['mode'] === 'reduceFields') {
    return frames.map((frame) => ({
      ...frame,
      fields: frame.fields
        .filter((field) => field.type === 'number')
        .flatMap((field) => ids.map((id) => ({ ...field, values: [reduceNumber(id, numbers(field))] }))),
    }));
  }
  const labels = bool(options['labelsToFields']) ? [...new Set(fields.flatMap((field) => Object.keys(field.labels)))].sort() : [];
  return [
    {
      refId: frames[0]?.refId ?? 'A',
      fields: [
        makeField('Field', 'string', fields.map(nameOf)),
        ...labels.map((label) => makeField(label, 'string', fields.map((field) => field.labels[label] ?? ''))),
        ...ids.map((id) => makeField(reducerTitle(id), 'number', fields.map((field) => reduceNumber(id, numbers(field))))),
      ],
    },
  ];
}

function groupBy(frames: readonly Frame[], options: Transformation['options']): Frame[] {
  const rules = obj(options['fields']);
  return frames.map((frame) => {
    const rule = (field: Field) => obj(rules[nameOf(field)]);
    const keys = frame.fields.filter((field) => rule(field)['operation'] === 'groupby');
    if (keys.length === 0) return frame;
    const groups = new Map<string, number[]>();
    for (let row = 0; row < rows(frame); row += 1) {
      const key = JSON.stringify(keys.map((field) => field.values[row] ?? null));
      groups.set(key, [...(groups.get(key) ?? []), row]);
    }
    const members = [...groups.values()];
    const fields: Field[] = keys.map((field) => ({ ...field, values: members.map((rowsOf) => field.values[rowsOf[0] ?? 0] ?? null) }));
    for (const field of frame.fields) {
      if (rule(field)['operation'] !== 'aggregate') continue;
      for (const id of strs(rule(field)['aggregations'])) {
        const values = members.map((rowsOf) => reduceNumber(id, rowsOf.map((row) => (typeof field.values[row] === 'number' ? (field.values[row] as number) : null))));
        fields.push(makeField(`${nameOf(field)} (${id})`, 'number', values));
      }
    }
    return { ...frame, fields };
  });
}

function labelsToFields(frames: readonly Frame[], options: Transformation['options']): Frame[] {
  const keep = strs(options['keepLabels']);
  return frames.map((frame) => {
    const labelled = frame.fields.find((field) => field.type === 'number');
    const names = Object.keys(labelled?.labels ?? {}).filter((label) => label !== '__name__' && (keep.length === 0 || keep.includes(label)));
    const count = rows(frame);
    const columns = names.map((label) => makeField(label, 'string', new Array<Cell>(count).fill(labelled?.labels[label] ?? '')));
    const [time, ...others] = frame.fields;
    return { ...frame, fields: [...(time === undefined ? [] : [time]), ...columns, ...others.map((field) => ({ ...field, legend: undefined, labels: {} }))] };
  });
}

function seriesToRows(frames: readonly Frame[]): Frame[] {
  const time: Cell[] = [];
  const metric: Cell[] = [];
  const value: Cell[] = [];
  for (const frame of frames) {
    const clock = frame.fields.find((field) => field.type === 'time');
    for (const field of frame.fields.filter((candidate) => candidate.type === 'number')) {
      field.values.forEach((cell, row) => {
        time.push(clock?.values[row] ?? null);
        metric.push(nameOf(field));
        value.push(cell);
      });
    }
  }
  return [{ refId: frames[0]?.refId ?? 'A', fields: [makeField('Time', 'time', time), makeField('Metric', 'string', metric), makeField('Value', 'number', value)] }];
}

function calculate(frames: readonly Frame[], options: Transformation['options']): Frame[] {
  const replace = bool(options['replaceFields']);
  return frames.map((frame) => {
    const time = frame.fields.filter((field) => field.type === 'time');
    const numeric = frame.fields.filter((field) => field.type === 'number');
    let values: Cell[];
    let name: string;
    if (options['mode'] === 'binary') {
      const binary = obj(options['binary']);
      const side = (raw: unknown, row: number): number | null => {
        const text = isObj(raw) ? str(obj(raw['matcher'])['options']) || str(raw['fixed']) : String(raw ?? '');
        const field = numeric.find((candidate) => nameOf(candidate) === text);
        if (field !== undefined) return numbers(field)[row] ?? null;
        return num(text) ?? null;
      };
      const operator = str(binary['operator'], '+');
      values = Array.from({ length: rows(frame) }, (_, row) => {
        const a = side(binary['left'], row);
        const b = side(binary['right'], row);
        if (a === null || b === null) return null;
        return operator === '+' ? a + b : operator === '-' ? a - b : operator === '*' ? a * b : operator === '/' ? a / b : operator === '%' ? a % b : a ** b;
      });
      name = `${isObj(binary['left']) ? '' : String(binary['left'])} ${operator} ${isObj(binary['right']) ? '' : String(binary['right'])}`;
    } else {
      const rule = obj(options['reduce']);
      const include = strs(rule['include']);
      const used = numeric.filter((field) => include.length === 0 || include.includes(nameOf(field)));
      const reducer = str(rule['reducer'], 'sum');
      values = Array.from({ length: rows(frame) }, (_, row) => reduceNumber(reducer, used.map((field) => numbers(field)[row] ?? null)));
      name = reducerTitle(reducer);
    }
    const field = makeField(str(options['alias']) || name, 'number', values);
    return { ...frame, fields: replace ? [...time, field] : [...frame.fields, field] };
  });
}

export function transform(frames: readonly Frame[], list: readonly Transformation[]): Transformed {
  let out = [...frames];
  const unknown: string[] = [];
  for (const { id, options, disabled } of list) {
    if (disabled) continue;
    switch (id) {
      case 'merge': out = merge(out); break;
      case 'organize': out = organize(out, options); break;
      case 'filterFieldsByName': out = filterByName(out, options); break;
      case 'renameByRegex': out = renameByRegex(out, options); break;
      case 'joinByField':
      case 'seriesToColumns': out = joinByField(out, options); break;
      case 'reduce': out = reduceFrames(out, options); break;
      case 'groupBy': out = groupBy(out, options); break;
      case 'labelsToFields': out = labelsToFields(out, options); break;
      case 'seriesToRows': out = seriesToRows(out); break;
      case 'calculateField': out = calculate(out, options); break;
      case 'filterByRefId': {
        const include = str(options['include']);
        out = out.filter((frame) => include.split('|').includes(frame.refId));
        break;
      }
      case 'sortBy': {
        const rule = objs(options['sort'])[0];
        if (rule !== undefined) out = out.map((frame) => sortFrame(frame, str(rule['field']), bool(rule['desc'])));
        break;
      }
      case 'limit': {
        const count = num(options['limitField']) ?? 10;
        out = out.map((frame) => pickRows(frame, Array.from({ length: Math.min(count, rows(frame)) }, (_, row) => row)));
        break;
      }
      case 'noop': break;
      default: unknown.push(id);
    }
  }
  return { frames: out, unknown: arr(unknown) as string[] };
}
