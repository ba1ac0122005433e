// The bar of template variables.

import { createMemo, createSignal, For, Show, type JSX } from 'solid-js';
import type { Choice } from '../dashboard/interpolate';
import { ALL, type Option, type Variable } from '../dashboard/variables';
import { t } from '../i18n';
import { Menu } from '../shared/Menu';

export function Variables(props: { variables: Variable[]; choices: ReadonlyMap<string, Choice>; onChange: (name: string, value: readonly string[]) => void }): JSX.Element {
  const visible = (): Variable[] => props.variables.filter((variable) => variable.hide !== 2 && !['constant', 'datasource', 'adhoc', 'other'].includes(variable.type));
  return (
    <Show when={visible().length > 0}>
      <div class="variables">
        <For each={visible()}>
          {(variable) => (
            <Show when={props.choices.get(variable.name)}>
              {(choice) => (
                <div class="variable" data-variable={variable.name}>
                  <Show when={variable.hide !== 1}>
                    <span>{variable.label || variable.name}</span>
                  </Show>
                  <Show
                    when={variable.type !== 'textbox'}
                    fallback={
                      <input
                        value={choice().value[0] ?? ''}
                        aria-label={variable.label || variable.name}
                        onChange={(event) => props.onChange(variable.name, [event.currentTarget.value])}
                      />
                    }
                  >
                    <Picker variable={variable} choice={choice()} onChange={(value) => props.onChange(variable.name, value)} />
                  </Show>
                </div>
              )}
            </Show>
          )}
        </For>
      </div>
    </Show>
  );
}

const MOST_OPTIONS = 300;

function Picker(props: { variable: Variable; choice: Choice; onChange: (value: readonly string[]) => void }): JSX.Element {
  const [text, setText] = createSignal('');
  const options = createMemo((): Option[] => [...(props.variable.includeAll ? [{ text: t('variableAll'), value: ALL }] : []), ...props.choice.options]);
  const found = createMemo(() => options().filter((option) => option.text.toLowerCase().includes(text().toLowerCase())));
  const label = (): string => {
    const chosen = props.choice.value.map((value) => options().find((option) => option.value === value)?.text ?? value);
    return chosen.length === 0 ? t('none') : chosen.join(' + ');
  };
  const toggle = (value: string): void => {
    if (value === ALL) return props.onChange([ALL]);
    const current = props.choice.value.filter((one) => one !== ALL);
    const next = current.includes(value) ? current.filter((one) => one !== value) : [...current, value];
    props.onChange(next.length > 0 ? next : props.variable.includeAll ? [ALL] : [value]);
  };
  return (
    <Menu title={props.variable.label || props.variable.name} label={<span>{label()}</span>}>
      {(close) => (
        <>
          <Show when={options().length > 8}>
            <div class="option-search">
              <input type="search" placeholder={t('search')} aria-label={t('search')} value={text()} onInput={(event) => setText(event.currentTarget.value)} />
            </div>
          </Show>
          <ul class="options">
            <For each={found().slice(0, MOST_OPTIONS)} fallback={<li class="muted">{t('none')}</li>}>
              {(option) => (
                <li>
                  <Show
                    when={props.variable.multi}
                    fallback={
                      <button
                        type="button"
                        class="quiet"
                        aria-current={props.choice.value.includes(option.value)}
                        onClick={() => {
                          props.onChange([option.value]);
                          close();
                        }}
                      >
                        {option.text}
                      </button>
                    }
                  >
                    <label>
                      <input type="checkbox" checked={props.choice.value.includes(option.value)} onChange={() => toggle(option.value)} />
                      {option.text}
                    </label>
                  </Show>
                </li>
              )}
            </For>
            <Show when={found().length > MOST_OPTIONS}>
              <li class="muted">+{found().length - MOST_OPTIONS}</li>
            </Show>
          </ul>
        </>
      )}
    </Menu>
  );
}
