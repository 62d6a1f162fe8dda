// The store and its state, within reach of every component.
import { createContext } from './vendor/preact.js';
import { useContext, useEffect, useState } from './ui.js';

export const Store = createContext(null);
export const useStore = () => useContext(Store);

export function useStoreState(store) {
  const [state, setState] = useState(store.state());
  useEffect(() => store.subscribe(setState), [store]);
  return state;
}

/** What elements do at one place, a message or a view: `where` as the server wants it, `form` from useForm. */
export const acts = (store, where, form) => ({
  form,
  confirm: store.confirm,
  upload: store.upload,
  act: action => store.act(where, action, form.values),
  suggest: question => store.suggest(where, question),
});
