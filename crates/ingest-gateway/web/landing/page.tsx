import { useEffect, useRef, useState } from 'react';
import { useLeadForm, useRastro } from '@rastro/react';
import type { FormEvent, ReactNode } from 'react';

const phone = '(31) 3333-0000';
const whatsapp =
  'https://wa.me/5531900000000?text=' + encodeURIComponent('Olá! Quero marcar uma avaliação.');
const answered = 'ipe:cookies';

/**
 * What the visitor answered on an earlier page. The answer itself is necessary to keep, so it needs no
 * consent.
 */
export const decided = (): 'granted' | 'denied' | undefined => {
  try {
    return (localStorage.getItem(answered) as 'granted' | 'denied') ?? undefined;
  } catch {}
};

const petal = 'M0-2C-6-5-7.5-11-3.5-14.5-2-15.8-.8-13.8 0-13.6.8-13.8 2-15.8 3.5-14.5 7.5-11 6-5 0-2Z';

const Flower = ({ size = 32, className = '' }: { size?: number; className?: string }) => (
  <svg className={className} width={size} height={size} viewBox="-16 -16 32 32" aria-hidden="true">
    {[0, 72, 144, 216, 288].map((turn) => (
      <path key={turn} transform={`rotate(${turn})`} d={petal} fill="var(--ipe)" />
    ))}
    <circle r="3.1" fill="var(--core)" />
  </svg>
);

const Icon = ({ d }: { d: string }) => (
  <svg
    width="22"
    height="22"
    viewBox="0 0 24 24"
    fill="none"
    stroke="currentColor"
    strokeWidth="1.8"
    strokeLinecap="round"
    strokeLinejoin="round"
    aria-hidden="true"
  >
    <path d={d} />
  </svg>
);
const WhatsAppIcon = () => (
  <Icon d="M4 20l1.2-4A8 8 0 1 1 8.4 19L4 20Zm5-11.5c-.3 3 3.5 6.7 6.4 6.3l.8-1.8-2.2-1.1-.9 1c-1-.4-2-1.4-2.4-2.4l1-.9L10.7 7.5Z" />
);

/** The ipê that stands in front of the door, drawn: it flowers in August, on bare branches. */
const Tree = () => {
  const flowers: [number, number, number, number][] = [
    [100, 92, 62, 0],
    [158, 52, 74, 20],
    [226, 80, 66, 50],
    [288, 46, 58, 10],
    [66, 154, 54, 33],
    [128, 138, 70, 60],
    [196, 146, 60, 15],
    [262, 128, 76, 40],
    [330, 102, 60, 5],
    [92, 204, 48, 12],
    [304, 180, 62, 28],
    [358, 160, 44, 48],
    [228, 196, 50, 8],
    [160, 198, 44, 44],
  ];
  return (
    <svg className="tree" viewBox="30 4 364 364" role="img" aria-label="Desenho de um ipê-amarelo florido">
      <clipPath id="round">
        <circle cx="212" cy="186" r="178" />
      </clipPath>
      <g clipPath="url(#round)">
        <path d="M0 0h430v430H0z" fill="#14514a" />
        <path d="M0 338c90-44 330-44 430 0v90H0z" fill="#0f6b5c" />
        <g stroke="#7c4a2d" fill="none" strokeLinecap="round">
          <path d="M216 336c4-26-4-36 0-60" strokeWidth="18" />
          <path d="M216 286c-8-50-54-58-84-88M216 288c10-54 62-60 92-102" strokeWidth="10" />
          <path
            d="M215 290c-2-56 4-104 12-164M150 216c-20-18-46-28-70-40M284 220c22-16 38-36 48-76M226 176c-14-30-34-60-64-94"
            strokeWidth="6"
          />
        </g>
        {flowers.map(([x, y, size, turn]) => (
          <g key={`${x}-${y}`} transform={`translate(${x} ${y}) rotate(${turn}) scale(${size / 32})`}>
            {[0, 72, 144, 216, 288].map((at) => (
              <path
                key={at}
                transform={`rotate(${at})`}
                d={petal}
                fill={at % 144 ? 'var(--ipe)' : 'var(--ipe-deep)'}
              />
            ))}
            <circle r="2.8" fill="var(--core)" />
          </g>
        ))}
        {[
          [136, 322, 14],
          [172, 344, 100],
          [262, 326, 70],
          [300, 338, 10],
          [238, 350, 200],
        ].map(([x, y, turn]) => (
          <path
            key={x}
            transform={`translate(${x} ${y}) rotate(${turn}) scale(1.1)`}
            d={petal}
            fill="var(--ipe)"
          />
        ))}
      </g>
    </svg>
  );
};

const treatments = [
  {
    name: 'Implante dentário',
    text: 'Cirurgia guiada por tomografia, com provisório no mesmo dia quando o osso permite.',
    from: 'a partir de R$ 2.400',
    time: '3 a 6 meses',
  },
  {
    name: 'Alinhadores',
    text: 'Placas transparentes feitas aqui no laboratório. Consulta a cada oito semanas.',
    from: 'a partir de R$ 290/mês',
    time: '6 a 18 meses',
  },
  {
    name: 'Clareamento',
    text: 'No consultório ou em casa, com dessensibilizante e fotos de antes e depois.',
    from: 'a partir de R$ 890',
    time: '2 semanas',
  },
  {
    name: 'Prótese e facetas',
    text: 'Porcelana desenhada no computador e provada na boca antes de qualquer desgaste.',
    from: 'a partir de R$ 1.350',
    time: '3 semanas',
  },
];
const steps = [
  ['Conversa e raio-X', 'Quarenta minutos com a dentista, não com o comercial. O raio-X é feito na hora.'],
  [
    'Plano por escrito',
    'Você sai com as opções, os prazos e os preços no papel. Leva para casa e decide com calma.',
  ],
  ['Tratamento', 'A mesma dentista do começo ao fim, com lembrete por WhatsApp na véspera.'],
];
const team = [
  ['Dra. Helena Prates', 'Implantes e cirurgia', 'CRO-MG 00001', 'HP'],
  ['Dr. Caio Nakamura', 'Ortodontia', 'CRO-MG 00002', 'CN'],
  ['Dra. Luiza Amaral', 'Prótese e estética', 'CRO-MG 00003', 'LA'],
];
const questions = [
  [
    'A avaliação é paga?',
    'Custa R$ 120, com o raio-X. O valor volta inteiro como desconto se você fizer o tratamento aqui.',
  ],
  [
    'Vocês atendem convênio?',
    'Não. Damos nota fiscal e relatório para reembolso, e parcelamos em até 12 vezes no cartão.',
  ],
  [
    'Dói colocar um implante?',
    'A cirurgia é feita com anestesia local. Nos dois dias seguintes um analgésico comum costuma bastar.',
  ],
  [
    'Tenho medo de dentista. E agora?',
    'Diga isso no formulário. Reservamos mais tempo para você, e a sedação com óxido nitroso está disponível.',
  ],
];

const masked = (value: string) => {
  const digits = value.replace(/\D/g, '').slice(0, 11);
  const cut = digits.length > 10 ? 7 : 6;
  if (digits.length < 3) return digits;
  return (
    `(${digits.slice(0, 2)}) ${digits.slice(2, cut)}` + (digits.length > cut ? `-${digits.slice(cut)}` : '')
  );
};

const Field = (p: { name: string; label: string; error?: string; hint?: string; children: ReactNode }) => (
  <div className={p.error ? 'field wrong' : 'field'}>
    <label htmlFor={p.name}>
      {p.label} {p.hint && <span>{p.hint}</span>}
    </label>
    {p.children}
    {p.error && (
      <p className="error" id={p.name + '-erro'}>
        {p.error}
      </p>
    )}
  </div>
);

const said: Record<string, string> = {
  name: 'Diga como podemos chamar você.',
  phone: 'Confira o número: DDD e telefone, só com dígitos.',
  email: 'Confira o e-mail: falta algo nele.',
};

const LeadForm = ({ done }: { done(name: string): void }) => {
  const { submit, state, errors } = useLeadForm({ params: { content_name: 'Avaliação' } });
  const [offline, setOffline] = useState(false);
  const [own, setOwn] = useState<Record<string, string>>({});
  const [tel, setTel] = useState('');
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    const look = () => setOffline(!navigator.onLine);
    look();
    addEventListener('online', look);
    addEventListener('offline', look);
    return () => {
      removeEventListener('online', look);
      removeEventListener('offline', look);
    };
  }, []);
  const wrong = { ...own };
  for (const { pointer = '' } of errors) {
    const field = pointer.replace('/lead/', '').replace('/lead', 'phone');
    if (said[field]) wrong[field] = said[field];
  }
  const sending = state == 'sending';
  const send = async (event: FormEvent) => {
    event.preventDefault();
    if (sending) return;
    const lead = Object.fromEntries(new FormData(form.current!)) as Record<string, string>;
    const missing: Record<string, string> = {};
    if (!lead.name.trim()) missing.name = said.name;
    if (lead.phone.replace(/\D/g, '').length < 10) missing.phone = said.phone;
    setOwn(missing);
    const [first] = Object.keys(missing);
    if (first) return document.getElementById(first)?.focus();
    for (const name in lead) if (!lead[name]) delete lead[name];
    const { status } = await submit(lead);
    if (status == 'accepted' || status == 'duplicate') done(lead.name.trim().split(' ')[0]);
  };
  const input = (name: string) => ({
    id: name,
    name,
    'aria-invalid': Boolean(wrong[name]),
    'aria-describedby': wrong[name] ? name + '-erro' : undefined,
  });
  return (
    <form ref={form} onSubmit={send} noValidate className="card" id="agendar">
      <h2>Marque sua avaliação</h2>
      <p className="quiet">Respondemos em até uma hora, de segunda a sábado.</p>
      <Field name="name" label="Nome" error={wrong.name}>
        <input {...input('name')} autoComplete="name" placeholder="Como você se chama?" />
      </Field>
      <Field name="phone" label="WhatsApp" error={wrong.phone}>
        <input
          {...input('phone')}
          type="tel"
          inputMode="tel"
          autoComplete="tel-national"
          placeholder="(31) 90000-0000"
          value={tel}
          onChange={(event) => setTel(masked(event.target.value))}
        />
      </Field>
      <Field name="email" label="E-mail" hint="opcional" error={wrong.email}>
        <input {...input('email')} type="email" autoComplete="email" placeholder="voce@exemplo.com.br" />
      </Field>
      <Field name="service_type" label="O que você procura?">
        <select {...input('service_type')} defaultValue="Avaliação geral">
          <option>Avaliação geral</option>
          {treatments.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </Field>
      <button className="primary" disabled={sending}>
        {sending ? 'Enviando…' : 'Pedir avaliação'}
      </button>
      <div role="status" className="status">
        {sending && offline && (
          <p className="note">
            Você está sem conexão. Seu pedido está guardado e será enviado quando a conexão voltar.
          </p>
        )}
        {state == 'rejected' && !Object.keys(wrong).length && (
          <p className="note bad">Não conseguimos enviar. Ligue para {phone}, por favor.</p>
        )}
      </div>
      <p className="small">Usamos estes dados só para responder ao seu pedido.</p>
    </form>
  );
};

const Banner = ({ asked, close }: { asked: boolean; close(): void }) => {
  const client = useRastro();
  const answer = (state: 'granted' | 'denied') => {
    try {
      localStorage.setItem(answered, state);
    } catch {}
    client.consent(state, { source: 'banner' });
    close();
  };
  if (!asked) return null;
  return (
    <section className="banner" aria-label="Cookies">
      <div>
        <h2>Cookies de publicidade: você decide</h2>
        <p>
          Com a sua permissão, contamos à Meta que você passou por aqui, para medir nossos anúncios. Sem
          ela, o site funciona igual e o seu pedido de avaliação chega do mesmo jeito.
        </p>
        <details>
          <summary>Quais são e por quanto tempo</summary>
          <p>
            <b>_fbp</b>, <b>_fbc</b>, <b>_rat</b> e <b>_raf</b>: por 90 dias, de qual anúncio veio a visita.{' '}
            <b>_rid</b>: por 395 dias, um número que não diz quem você é. Para mudar de ideia, use
            “Preferências de cookies” no fim da página.
          </p>
        </details>
      </div>
      <div className="answers">
        <button onClick={() => answer('denied')}>Recusar</button>
        <button onClick={() => answer('granted')}>Aceitar</button>
      </div>
    </section>
  );
};

const Header = () => (
  <header className="top">
    <a className="brand" href="/" aria-label="Clínica Ipê, início">
      <Flower size={34} />
      <span>
        Clínica Ipê <small>odontologia</small>
      </span>
    </a>
    <nav aria-label="Contato">
      <a className="tel" href={'tel:+553133330000'}>
        {phone}
      </a>
      <a className="pill" href={whatsapp} target="_blank" rel="noreferrer">
        <WhatsAppIcon /> WhatsApp
      </a>
    </nav>
  </header>
);

const Home = ({ done }: { done(name: string): void }) => (
  <main>
    <section className="hero">
      <div className="pitch">
        <h1>Dentista que mostra o plano antes de ligar o motor.</h1>
        <p className="lead">
          Na primeira visita você faz o raio-X, conhece as opções e leva os preços por escrito. Depois
          decide, em casa, sem ninguém ligando.
        </p>
        <a className="primary" href="#agendar">
          Marcar avaliação
        </a>
        <ul className="facts">
          <li>Savassi, a 200 m da praça</li>
          <li>Segunda a sábado, até as 20 h</li>
          <li>Até 12× no cartão</li>
        </ul>
      </div>
      <Tree />
      <LeadForm done={done} />
    </section>

    <section className="treatments" aria-labelledby="tratamentos">
      <h2 id="tratamentos">O que fazemos, com preço e prazo</h2>
      <ul>
        {treatments.map(({ name, text, from, time }) => (
          <li key={name}>
            <h3>{name}</h3>
            <p>{text}</p>
            <p className="price">
              <b>{from}</b>
              <span>{time}</span>
            </p>
          </li>
        ))}
      </ul>
    </section>

    <section className="steps" aria-labelledby="como">
      <h2 id="como">Como funciona</h2>
      <ol>
        {steps.map(([title, text]) => (
          <li key={title}>
            <h3>{title}</h3>
            <p>{text}</p>
          </li>
        ))}
      </ol>
    </section>

    <section className="team" aria-labelledby="equipe">
      <h2 id="equipe">Quem vai cuidar de você</h2>
      <ul>
        {team.map(([name, what, cro, initials]) => (
          <li key={name}>
            <span className="portrait" aria-hidden="true">
              {initials}
              <Flower size={30} />
            </span>
            <div>
              <h3>{name}</h3>
              <p>{what}</p>
              <p className="small">{cro}</p>
            </div>
          </li>
        ))}
      </ul>
    </section>

    <section className="questions" aria-labelledby="duvidas">
      <h2 id="duvidas">Perguntas que todo mundo faz</h2>
      {questions.map(([question, answer]) => (
        <details key={question}>
          <summary>{question}</summary>
          <p>{answer}</p>
        </details>
      ))}
    </section>
  </main>
);

const Thanks = ({ name }: { name: string }) => (
  <main className="thanks">
    <Flower size={84} />
    <h1>{name ? `Recebemos seu pedido, ${name}.` : 'Recebemos seu pedido.'}</h1>
    <p className="lead">
      Vamos chamar você no WhatsApp em até uma hora, de segunda a sábado, das 8 h às 20 h.
    </p>
    <ol>
      <li>
        <h2>Escolha o horário</h2>
        <p>Mandamos três opções desta semana. É só responder com o número.</p>
      </li>
      <li>
        <h2>Traga o que já tiver</h2>
        <p>Radiografias ou exames antigos ajudam, mas não fazem falta.</p>
      </li>
      <li>
        <h2>Chegue dez minutos antes</h2>
        <p>Rua Antônio de Albuquerque, 000, sala 12. Estacionamento ao lado, por nossa conta.</p>
      </li>
    </ol>
    <p className="actions">
      <a className="primary" href={whatsapp} target="_blank" rel="noreferrer">
        <WhatsAppIcon /> Adiantar pelo WhatsApp
      </a>
      <a className="plain" href="/">
        Voltar ao início
      </a>
    </p>
  </main>
);

export const Page = ({ path }: { path: string }) => {
  const [at, setAt] = useState(path);
  const [name, setName] = useState('');
  const [asked, setAsked] = useState(false);
  useEffect(() => {
    // After hydration: the server does not know what was answered.
    setAsked(!decided());
    const look = () => setAt(location.pathname);
    addEventListener('popstate', look);
    return () => removeEventListener('popstate', look);
  }, []);
  const done = (name: string) => {
    setName(name);
    history.pushState(null, '', '/obrigado');
    setAt('/obrigado');
  };
  const thanks = at.startsWith('/obrigado');
  const first = useRef(at);
  useEffect(() => {
    if (first.current != at) scrollTo({ top: 0, behavior: 'instant' });
    first.current = at;
  }, [at]);
  // The button that leads to the form would only hide it.
  const [atForm, setAtForm] = useState(false);
  useEffect(() => {
    const form = document.getElementById('agendar');
    if (!form) return;
    const watch = new IntersectionObserver(([entry]) => setAtForm(entry.isIntersecting));
    watch.observe(form);
    return () => watch.disconnect();
  }, [thanks]);
  return (
    <>
      <Header />
      {thanks ? <Thanks name={name} /> : <Home done={done} />}
      <footer>
        <p>
          <b>Clínica Ipê Odontologia</b>
          <br />
          Rua Antônio de Albuquerque, 000, sala 12 · Savassi, Belo Horizonte
          <br />
          {phone} · {'segunda a sábado, 8\u00a0h às 20\u00a0h'}
        </p>
        <p className="small">
          Responsável técnica: Dra. Helena Prates, CRO-MG 00001. Clínica fictícia, feita para demonstração.
          <br />
          <button className="link" onClick={() => setAsked(true)}>
            Preferências de cookies
          </button>
        </p>
      </footer>
      {!thanks && !asked && !atForm && (
        <div className="dock">
          <a className="primary" href="#agendar">
            Marcar avaliação
          </a>
          <a className="pill" href={whatsapp} target="_blank" rel="noreferrer" aria-label="WhatsApp">
            <WhatsAppIcon />
          </a>
        </div>
      )}
      <Banner asked={asked} close={() => setAsked(false)} />
    </>
  );
};
