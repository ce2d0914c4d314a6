'use client';
import { createContext, createElement, useContext, useEffect, useRef, useState } from 'react';
import type { ReactElement, ReactNode } from 'react';
import type {
  FieldError,
  Lead,
  LeadOutcome,
  Outcome,
  Params,
  Purchase,
  PurchaseOutcome,
  Rastro,
  Tracked,
} from '@rastro/browser';

const Context = createContext<Rastro | null>(null);

/** Give it a client that was made outside of React: StrictMode would make two. */
export const RastroProvider = (props: { client: Rastro; children?: ReactNode }): ReactElement =>
  createElement(Context.Provider, { value: props.client }, props.children);

export function useRastro(): Rastro {
  const client = useContext(Context);
  if (!client) throw new Error('useRastro needs a <RastroProvider client={...}> above it');
  return client;
}

export type LeadFormState = 'idle' | 'sending' | Outcome['status'];

/** One id per submission: what was refused keeps it for the next try, success makes the next one new. */
export function useLeadForm({ params }: { params?: Params } = {}) {
  const client = useRastro();
  const id = useRef<string>(undefined);
  const [state, setState] = useState<LeadFormState>('idle');
  const [errors, setErrors] = useState<FieldError[]>([]);
  const submit = async (lead: Lead): Promise<LeadOutcome> => {
    setState('sending');
    setErrors([]);
    const { eventId, outcome } = client.trackLead(lead, { eventId: id.current, params, asks: true });
    id.current = eventId;
    const result = await outcome;
    if (result.status == 'rejected') {
      // What is no field's fault has no pointer.
      setErrors(result.errors.map((error) => ({ ...error, pointer: error.pointer ?? '' })));
    } else id.current = undefined;
    setState(result.status);
    return result;
  };
  return { submit, state, errors };
}

/** Tracks the purchase once it is there, and however often React renders: its order id is the event's. */
export function usePurchaseTracking(purchase?: Purchase | null) {
  const client = useRastro();
  const [outcome, setOutcome] = useState<PurchaseOutcome | null>(null);
  const trackPurchase = (bought: Purchase): Tracked<PurchaseOutcome> => {
    const tracked = client.trackPurchase(bought);
    tracked.outcome.then(setOutcome);
    return tracked;
  };
  useEffect(() => {
    if (purchase) trackPurchase(purchase);
  }, [client, purchase?.orderId, purchase?.status]);
  return { trackPurchase, outcome };
}

export function useTrackOnce(
  name: string,
  params: Params | undefined,
  o: { id: string; when?: boolean },
): void {
  const client = useRastro();
  const { id, when = true } = o;
  useEffect(() => {
    if (when) client.track(name, params, { eventId: id });
  }, [client, name, id, when]);
}

/** For a router that tells its path, instead of the plug-in `pages`. */
export function usePageView(path: string): void {
  const client = useRastro();
  const seen = useRef<string>(undefined);
  useEffect(() => {
    // StrictMode runs effects twice.
    if (seen.current != path) client.page();
    seen.current = path;
  }, [client, path]);
}
