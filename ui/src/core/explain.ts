// Explains empty results by looking at the parts of the expression. Loaded only when a result is empty, since it brings
// the PromQL grammar with it.

import { parser } from '@prometheus-io/lezer-promql';
import type { SyntaxNode } from '@lezer/common';
import type { Labels, PrometheusApi } from './api';
import { mismatch, suggestions, type MatchRule, type Mismatch, type Suggestion } from './matching';

export type Explanation =
  | { kind: 'mismatch'; leftText: string; rightText: string; found: Mismatch; suggestions: Suggestion[] }
  | { kind: 'sideEmpty'; side: 'left' | 'right'; text: string; inner: Explanation | undefined }
  | { kind: 'comparison'; op: string }
  | { kind: 'unknownMetric'; name: string }
  | { kind: 'matcher'; name: string; matcher: string; values: string[] }
  | { kind: 'noneNow'; name: string };

const COMPARISONS = ['==', '!=', '<', '>', '<=', '>='];
const EXPRESSIONS = new Set(['BinaryExpr', 'ParenExpr', 'AggregateExpr', 'FunctionCall', 'VectorSelector', 'MatrixSelector', 'SubqueryExpr', 'OffsetExpr', 'StepInvariantExpr', 'UnaryExpr', 'NumberDurationLiteral', 'StringLiteral']);

export interface BinaryParts {
  left: SyntaxNode;
  right: SyntaxNode;
  op: string;
  /** The operator with its `bool`, as written. */
  opText: string;
  rule: MatchRule;
}

function children(node: SyntaxNode): SyntaxNode[] {
  const out: SyntaxNode[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling) out.push(child);
  return out;
}

function expressions(node: SyntaxNode): SyntaxNode[] {
  return children(node).filter((child) => EXPRESSIONS.has(child.name));
}

export function topExpression(text: string): SyntaxNode | undefined {
  const root = parser.parse(text).topNode;
  return expressions(root)[0];
}

/** The parts of a binary expression node, matching rule included. */
export function binaryParts(node: SyntaxNode, text: string): BinaryParts | undefined {
  if (node.name !== 'BinaryExpr') return undefined;
  const sides = expressions(node);
  const [left, right] = [sides[0], sides[sides.length - 1]];
  if (left === undefined || right === undefined || left === right) return undefined;
  const between = text.slice(left.to, right.from);
  const operator = /^\s*(and|or|unless|atan2|==|!=|<=|>=|<|>|\+|-|\*|\/|%|\^)\s*(bool\b)?/i.exec(between);
  if (operator === null) return undefined;
  const matching = /\b(on|ignoring)\s*\(([^)]*)\)/i.exec(between);
  const labels = (matching?.[2] ?? '').split(',').map((label) => label.trim().replace(/^"|"$/g, '')).filter((label) => label !== '');
  const op = (operator[1] ?? '').toLowerCase();
  return {
    left,
    right,
    op,
    opText: operator[2] === undefined ? op : `${op} bool`,
    rule: matching === null ? { kind: 'all', labels: [] } : { kind: (matching[1] ?? '').toLowerCase() === 'on' ? 'on' : 'ignoring', labels },
  };
}

function unwrap(node: SyntaxNode): SyntaxNode {
  let current = node;
  while (current.name === 'ParenExpr' || current.name === 'UnaryExpr') {
    const inner = expressions(current)[0];
    if (inner === undefined) break;
    current = inner;
  }
  return current;
}

interface Context {
  text: string;
  api: PrometheusApi;
  timeS: number;
  signal: AbortSignal | undefined;
  /** Questions left: an explanation must not become a load. */
  budget: number;
}

async function sideOf(node: SyntaxNode, context: Context): Promise<{ scalar: boolean; labels: Labels[] }> {
  context.budget -= 1;
  const result = await context.api.instant(context.text.slice(node.from, node.to), context.timeS, context.signal);
  return { scalar: result.type === 'scalar', labels: result.series.map((one) => one.labels) };
}

async function explainBinary(parts: BinaryParts, context: Context): Promise<Explanation | undefined> {
  const [left, right] = await Promise.all([sideOf(parts.left, context), sideOf(parts.right, context)]);
  const leftText = context.text.slice(parts.left.from, parts.left.to);
  const rightText = context.text.slice(parts.right.from, parts.right.to);
  if (left.labels.length === 0) return { kind: 'sideEmpty', side: 'left', text: leftText, inner: await explainNode(parts.left, context) };
  if (parts.op === 'unless') return undefined;
  if (right.labels.length === 0) return { kind: 'sideEmpty', side: 'right', text: rightText, inner: await explainNode(parts.right, context) };
  const compares = COMPARISONS.includes(parts.op) && parts.opText === parts.op;
  if (left.scalar || right.scalar) return compares ? { kind: 'comparison', op: parts.op } : undefined;
  const found = mismatch(left.labels, right.labels, parts.rule);
  if (found !== undefined) return { kind: 'mismatch', leftText, rightText, found, suggestions: suggestions(leftText, parts.opText, rightText, found) };
  return compares ? { kind: 'comparison', op: parts.op } : undefined;
}

function descendants(node: SyntaxNode, names: ReadonlySet<string>): SyntaxNode[] {
  return children(node).flatMap((child) => (names.has(child.name) ? [child] : descendants(child, names)));
}

const MATCHERS = new Set(['UnquotedLabelMatcher', 'QuotedLabelMatcher']);

async function explainSelector(node: SyntaxNode, context: Context): Promise<Explanation | undefined> {
  const text = context.text;
  const identifier = children(node).find((child) => child.name === 'Identifier');
  const named = /__name__\s*=\s*"([^"]+)"/.exec(text.slice(node.from, node.to));
  const name = identifier === undefined ? (named?.[1] ?? '') : text.slice(identifier.from, identifier.to);
  if (name === '' || context.budget <= 0) return undefined;
  const selector = `{__name__=${JSON.stringify(name)}}`;
  context.budget -= 1;
  const start = String(context.timeS - 86_400);
  const end = String(context.timeS);
  const names = await context.api.strings('label/__name__/values', [['match[]', selector], ['start', start], ['end', end]]);
  if (names.length === 0) return { kind: 'unknownMetric', name };
  for (const matcher of descendants(node, MATCHERS)) {
    if (context.budget <= 0) break;
    const written = text.slice(matcher.from, matcher.to);
    const label = /^"?([^"=!~\s]+)"?\s*(=~|!~|!=|=)/.exec(written)?.[1];
    if (label === undefined || label === '__name__') continue;
    context.budget -= 2;
    const [all, kept] = await Promise.all([
      context.api.strings(`label/${encodeURIComponent(label)}/values`, [['match[]', selector], ['start', start], ['end', end]]),
      context.api.strings('label/__name__/values', [['match[]', `{__name__=${JSON.stringify(name)},${written}}`], ['start', start], ['end', end]]),
    ]);
    if (kept.length === 0) return { kind: 'matcher', name, matcher: written, values: all };
  }
  return { kind: 'noneNow', name };
}

async function explainNode(node: SyntaxNode, context: Context): Promise<Explanation | undefined> {
  if (context.budget <= 0) return undefined;
  const bare = unwrap(node);
  const parts = binaryParts(bare, context.text);
  if (parts !== undefined) return explainBinary(parts, context);
  if (bare.name === 'VectorSelector') return explainSelector(bare, context);
  // Functions, aggregations, ranges: the reason lies in what they are given.
  const inner = descendants(bare, new Set(['BinaryExpr', 'VectorSelector']))[0];
  return inner === undefined ? undefined : explainNode(inner, context);
}

/** Why `expr` had no result at `timeS`; undefined when there is nothing helpful to say. Never throws. */
export async function explainEmpty(expr: string, api: PrometheusApi, timeS: number, signal?: AbortSignal): Promise<Explanation | undefined> {
  const node = topExpression(expr);
  if (node === undefined) return undefined;
  try {
    return await explainNode(node, { text: expr, api, timeS, signal, budget: 24 });
  } catch {
    return undefined;
  }
}
