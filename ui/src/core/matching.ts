// Why a binary operation of two vectors has no result: compares the label sets of both sides. No parser, no network.

import type { Labels } from './api';

export interface MatchRule {
  kind: 'all' | 'on' | 'ignoring';
  labels: readonly string[];
}

export interface SideSummary {
  count: number;
  /** Label names that every series of the side has, `__name__` left out. */
  labels: string[];
}

export interface Mismatch {
  left: SideSummary;
  right: SideSummary;
  /** Names that take part in the matching and only one side has. */
  onlyLeft: string[];
  onlyRight: string[];
  /** Shared names without a shared value. */
  disjoint: { label: string; left: string[]; right: string[] }[];
  /** Whether each combination of the shared labels occurs once on that side: only then may it be the "one" side. */
  leftUnique: boolean;
  rightUnique: boolean;
}

function usedIn(rule: MatchRule, label: string): boolean {
  if (label === '__name__') return false;
  if (rule.kind === 'on') return rule.labels.includes(label);
  return rule.kind === 'all' || !rule.labels.includes(label);
}

function signature(labels: Labels, rule: MatchRule): string {
  const pairs = Object.entries(labels).filter(([name]) => usedIn(rule, name));
  return JSON.stringify(pairs.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function names(side: readonly Labels[]): string[] {
  return [...new Set(side.flatMap((labels) => Object.keys(labels)))].filter((name) => name !== '__name__').sort();
}

function valuesOf(side: readonly Labels[], label: string): string[] {
  return [...new Set(side.map((labels) => labels[label] ?? ''))].sort();
}

/** undefined when at least one pair of series does match. */
export function mismatch(left: readonly Labels[], right: readonly Labels[], rule: MatchRule): Mismatch | undefined {
  const seen = new Set(left.map((labels) => signature(labels, rule)));
  if (right.some((labels) => seen.has(signature(labels, rule)))) return undefined;
  const leftNames = names(left);
  const rightNames = names(right);
  const used = (label: string): boolean => usedIn(rule, label);
  const disjoint = leftNames
    .filter((label) => used(label) && rightNames.includes(label))
    .map((label) => ({ label, left: valuesOf(left, label), right: valuesOf(right, label) }))
    .filter(({ left: a, right: b }) => !a.some((value) => b.includes(value)));
  const shared: MatchRule = { kind: 'on', labels: leftNames.filter((label) => rightNames.includes(label) && !disjoint.some((one) => one.label === label)) };
  const unique = (side: readonly Labels[]): boolean => new Set(side.map((labels) => signature(labels, shared))).size === side.length;
  return {
    left: { count: left.length, labels: leftNames },
    right: { count: right.length, labels: rightNames },
    onlyLeft: leftNames.filter((label) => used(label) && !rightNames.includes(label)),
    onlyRight: rightNames.filter((label) => used(label) && !leftNames.includes(label)),
    disjoint,
    leftUnique: unique(left),
    rightUnique: unique(right),
  };
}

export interface Suggestion {
  kind: 'sum' | 'on' | 'ignoring';
  expr: string;
}

/** Rewritten expressions that would match. `op` may carry `bool`. */
export function suggestions(leftText: string, op: string, rightText: string, found: Mismatch): Suggestion[] {
  const out: Suggestion[] = [];
  const { onlyLeft, onlyRight, disjoint } = found;
  const shared = found.left.labels.filter((label) => found.right.labels.includes(label) && !disjoint.some((one) => one.label === label));
  const summed = (text: string): string => {
    const bare = /^\((.*)\)$/s.exec(text.trim());
    return `sum${shared.length > 0 ? ` by (${shared.join(', ')}) ` : ''}(${bare !== null && balanced(bare[1] ?? '') ? bare[1] : text.trim()})`;
  };
  const needsLeft = onlyLeft.length > 0 || disjoint.length > 0;
  const needsRight = onlyRight.length > 0 || disjoint.length > 0;
  out.push({ kind: 'sum', expr: `${needsLeft ? summed(leftText) : leftText.trim()} ${op} ${needsRight ? summed(rightText) : rightText.trim()}` });
  // on() and ignoring() need one series per match on at least one side; the other becomes the "many" side.
  if (!found.leftUnique && !found.rightUnique) return out;
  const many = found.leftUnique && found.rightUnique ? '' : found.rightUnique ? ' group_left' : ' group_right';
  const extra = [...new Set([...onlyLeft, ...onlyRight, ...disjoint.map((one) => one.label)])];
  if (shared.length > 0) out.push({ kind: 'on', expr: `${leftText.trim()} ${op} on (${shared.join(', ')})${many} ${rightText.trim()}` });
  if (extra.length > 0) out.push({ kind: 'ignoring', expr: `${leftText.trim()} ${op} ignoring (${extra.join(', ')})${many} ${rightText.trim()}` });
  return out;
}

/** Whether the parentheses of a text close where they should, so that outer ones may go. */
function balanced(text: string): boolean {
  let depth = 0;
  for (const char of text) {
    if (char === '(') depth += 1;
    if (char === ')') depth -= 1;
    if (depth < 0) return false;
  }
  return depth === 0;
}
