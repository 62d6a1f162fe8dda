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
