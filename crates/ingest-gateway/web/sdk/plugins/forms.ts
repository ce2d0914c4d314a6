import type { Plugin } from '../types.ts';

/** Each `<form data-rastro="lead">` that is submitted is a lead. The same content again is the same lead. */
export const forms: Plugin = (client, _, { listen_: listen }) => {
  const sent: Record<string, unknown> = {};
  listen('submit', ({ target }) => {
    if (target.dataset.rastro != 'lead') return;
    const lead: any = {};
    new FormData(target).forEach((value, name) => {
      const field = target.elements[name];
      // Several of one name are all said.
      if ((field[0] || field).type != 'password')
        lead[name] = lead[name] ? [].concat(lead[name], value as any) : value;
    });
    sent[JSON.stringify(lead)] ||= client.trackLead(lead);
  });
};
