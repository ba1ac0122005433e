// CodeMirror with the PromQL package: highlighting, completion of metrics, labels and functions, and syntax marks.
// A chunk of its own: nothing may import this module except by `import()`.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { lintKeymap } from '@codemirror/lint';
import { Compartment, EditorState, Prec } from '@codemirror/state';
import { EditorView, keymap, placeholder } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { PromQLExtension } from '@prometheus-io/codemirror-promql';

export interface EditorHandle {
  set: (text: string) => void;
  setDark: (dark: boolean) => void;
  focus: () => void;
  destroy: () => void;
}

export interface EditorSettings {
  text: string;
  label: string;
  dark: boolean;
  onInput: (text: string) => void;
  onExecute: () => void;
}

const colors = HighlightStyle.define([
  { tag: tags.number, color: 'light-dark(#0b6b3a, #7fc98f)' },
  { tag: tags.string, color: 'light-dark(#a03a20, #e8a27c)' },
  { tag: tags.function(tags.variableName), color: 'light-dark(#1f5f8b, #6cb2e4)' },
  { tag: tags.standard(tags.keyword), color: 'light-dark(#1f5f8b, #6cb2e4)' },
  { tag: tags.operatorKeyword, color: 'light-dark(#7a3e9d, #c99be6)', fontWeight: '600' },
  { tag: tags.keyword, color: 'light-dark(#7a3e9d, #c99be6)' },
  { tag: tags.modifier, color: 'light-dark(#7a3e9d, #c99be6)' },
  { tag: tags.labelName, color: 'light-dark(#8a5a00, #e3c07a)' },
  { tag: tags.comment, color: 'light-dark(#626b78, #99a1ad)', fontStyle: 'italic' },
  { tag: tags.invalid, color: 'light-dark(#b3202f, #ff8791)' },
]);

function look(dark: boolean): ReturnType<typeof EditorView.theme> {
  return EditorView.theme(
    {
      '&': { color: 'var(--text)', backgroundColor: 'var(--field)' },
      '.cm-content': { fontFamily: 'var(--mono)', padding: '5px 0', caretColor: 'var(--text)' },
      '.cm-cursor': { borderLeftColor: 'var(--text)' },
      '.cm-tooltip': { backgroundColor: 'var(--raised)', color: 'var(--text)', border: '1px solid var(--line)', borderRadius: '4px' },
      '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--accent-ground)', color: '#fff' },
      '.cm-completionDetail': { color: 'var(--muted)', marginLeft: '1em', fontStyle: 'normal' },
      '.cm-placeholder': { color: 'var(--muted)' },
    },
    { dark },
  );
}

export function mountEditor(parent: HTMLElement, settings: EditorSettings): EditorHandle {
  const theme = new Compartment();
  const promql = new PromQLExtension().setComplete({ remote: { url: '', httpMethod: 'GET' } });
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: settings.text,
      extensions: [
        history(),
        bracketMatching(),
        closeBrackets(),
        autocompletion(),
        EditorView.lineWrapping,
        syntaxHighlighting(colors),
        theme.of(look(settings.dark)),
        placeholder(settings.label),
        EditorView.contentAttributes.of({ 'aria-label': settings.label }),
        promql.asExtension(),
        // Enter with a completion open takes the completion: its keymap has the higher rank.
        Prec.high(
          keymap.of([
            { key: 'Enter', run: () => (settings.onExecute(), true) },
            { key: 'Shift-Enter', run: insertNewlineAndIndent },
          ]),
        ),
        Prec.highest(keymap.of(completionKeymap)),
        keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...historyKeymap, ...lintKeymap]),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) settings.onInput(update.state.doc.toString());
        }),
      ],
    }),
  });
  return {
    set: (text) => {
      if (view.state.doc.toString() !== text) view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } });
    },
    setDark: (dark) => view.dispatch({ effects: theme.reconfigure(look(dark)) }),
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}
