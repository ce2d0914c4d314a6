import type { Plugin } from '../types.ts';

/** Each `<form data-rastro="lead">` that is submitted is a lead. The same content again is the same lead. */
export const forms: Plugin = (client, _, { listen }) => {
  const sent: Record<string, string> = {};
  listen('submit', ({ target }) => {
    if (target.dataset.rastro != 'lead') return;
    const lead: any = {};
    new FormData(target).forEach((value, name) => {
      if (target.elements[name].type != 'password') lead[name] = value;
    });
    const content = JSON.stringify(lead);
    sent[content] = client.trackLead(lead, { eventId: sent[content] }).eventId;
  });
};
