/**
 * What the visitor allows. `pending`: nobody has asked yet, so nothing leaves the page and nothing is
 * written.
 */
export type ConsentState = 'granted' | 'denied' | 'pending';

/** Google's consent mode names, which are also the names on the wire. */
export type ConsentSignals = Partial<
  Record<'ad_storage' | 'ad_user_data' | 'ad_personalization' | 'analytics_storage', 'granted' | 'denied'>
>;

export interface FieldError {
  /** JSON pointer of the field; '' of what is no field's fault, such as a page whose origin is not listed. */
  pointer: string;
  detail: string;
}

/** What the gateway refused, and why. */
export interface Problem {
  /** Event name and id. */
  name: string;
  status: 'rejected';
  errors: FieldError[];
}

export interface Options {
  /** The publishable key of a dataset. */
  key: string;
  /** `https://track.example.com`, or '' for the page's own origin. */
  endpoint: string;
  /** Call this Meta Pixel too, with the same event id. */
  pixelId?: string;
  /** Default `granted`. */
  consent?: ConsentState;
  /** Query names to keep in `event_source_url` beside the campaign's. */
  keepParameters?: string[];
  /** Also cleans the address bar, before the Pixel reads it. */
  cleanUrl?: boolean;
  onError?(problem: Problem): void;
}

export type StandardEvent =
  | 'AddPaymentInfo'
  | 'AddToCart'
  | 'AddToWishlist'
  | 'CompleteRegistration'
  | 'Contact'
  | 'CustomizeProduct'
  | 'Donate'
  | 'FindLocation'
  | 'InitiateCheckout'
  | 'Lead'
  | 'PageView'
  | 'Purchase'
  | 'Schedule'
  | 'Search'
  | 'StartTrial'
  | 'SubmitApplication'
  | 'Subscribe'
  | 'ViewContent';

export interface Content {
  id: string;
  quantity?: number;
  item_price?: number;
  [custom: string]: unknown;
}

export interface Params {
  value?: number;
  currency?: string;
  content_ids?: string[];
  contents?: Content[];
  order_id?: string;
  [custom: string]: unknown;
}

/** Match keys by Meta's names, as the visitor wrote them: the gateway normalises and hashes. */
export interface UserData {
  em?: string;
  ph?: string;
  fn?: string;
  ln?: string;
  ct?: string;
  st?: string;
  zp?: string;
  country?: string;
  db?: string;
  ge?: string;
  external_id?: string;
}

export interface Lead {
  name?: string;
  email?: string;
  phone?: string;
  message?: string;
  [field: string]: string | number | boolean | string[] | undefined;
}

export interface Purchase {
  orderId: string;
  value: number;
  /** Default BRL. */
  currency?: string;
  /**
   * Default approved. A pending one (Pix, boleto) is a claim for the gateway only: Meta learns nothing of
   * it.
   */
  status?: 'approved' | 'pending';
  items?: Content[];
  /** Who bought, for the gateway only: it rests in this tab, is hashed, and is told to no Pixel. */
  email?: string;
  phone?: string;
  cpf?: string;
  [custom: string]: unknown;
}

export interface TrackOptions {
  eventId?: string;
  user?: UserData;
  /** false: not to the Pixel. */
  pixel?: boolean;
  /** true: one of your own names, not one of Meta's standard events. */
  custom?: boolean;
}

export type Outcome =
  | { status: 'accepted' | 'duplicate' }
  | { status: 'rejected'; errors: FieldError[] }
  | { status: 'withheld'; why: 'consent' | 'server-render' };

/** What the gateway says beside it of what it took. */
export interface Receipt {
  /** Whether Meta will hear of it: `none` of a claim, for one. */
  forwarding?: 'queued' | 'withheld' | 'duplicate' | 'none';
  /** What was left out, and why. */
  warnings?: FieldError[];
}
/** `lead_id` is the gateway's number of the lead; a duplicate has none. */
export type LeadOutcome = Outcome & Receipt & { lead_id?: number };
/** `purchase_id` is the gateway's number of the purchase; a duplicate has none. */
export type PurchaseOutcome = Outcome & Receipt & { purchase_id?: number };

export interface Tracked<O = Outcome> {
  readonly eventId: string;
  /** Never rejects. Stays open while the gateway cannot be reached. */
  readonly outcome: Promise<O>;
}

/** A page that a campaign or another site led to: the campaign's parameters by their own names, and these. */
export interface Touch {
  [parameter: string]: string | number | undefined;
  referrer?: string;
  landing: string;
  at: number;
}

export interface Rastro {
  track(name: StandardEvent | (string & {}), params?: Params, options?: TrackOptions): Tracked;
  /** `asks`: the outcome's errors are shown to the visitor, so that one wrong field is worth a refusal. */
  trackLead(lead: Lead, options?: TrackOptions & { params?: Params; asks?: boolean }): Tracked<LeadOutcome>;
  trackPurchase(purchase: Purchase, options?: TrackOptions): Tracked<PurchaseOutcome>;
  page(options?: TrackOptions): Tracked;
  /** Match keys for the events that follow. They stay in memory. */
  identify(user: UserData): void;
  /** `details` go to the gateway as they are: Google's signals, and what asked (`source`). */
  consent(state: ConsentState, details?: ConsentSignals & { source?: string }): void;
  attribution(): { first?: Touch; last?: Touch };
  /** '' unless consent is granted. */
  visitorId(): string;
  /** Settles when everything was tried once. */
  flush(): Promise<void>;
  /** At logout: a new visitor, an empty queue. */
  reset(): void;
  /** Nothing is tracked, sent or listened to any more. */
  destroy(): void;
}

/**
 * One thing to deliver, as it rests in storage until the gateway has acknowledged it. The build shortens
 * names that end in _, always to the same letters.
 */
export interface Item {
  /** Event name and id: its place in storage, and what makes it one thing in several tabs. */
  name: string;
  /** The publishable key it was tracked for. */
  key: string;
  /** What it is worth, and which way it goes: a page view, another event, a lead, a purchase. */
  path_: number;
  /**
   * The event, beside it the lead or purchase that it tells of. Without user_data: nobody consented to it.
   */
  body_: Record<string, any>;
  at: number;
  /** Went through consent; before, it is held in memory. */
  ready_?: 1;
  /** 1: holds contact data, or nobody consented. It rests in this tab's storage only. */
  tab_: number;
  /** How the Pixel is told; '' not at all. */
  pixel_: string;
  settled_?: (outcome: any) => void;
}

export interface Hooks {
  /** `localStorage`, or memory where it is forbidden. */
  local_: Record<string, any>;
  /** Adds a listener that breaks nothing when it throws, and that is deaf when the client is destroyed. */
  listen_(type: string, action: (event: any) => void, target?: EventTarget): void;
  /** Tells the Pixel of an event that the visitor consents to. */
  pixel_?(item: Item): void;
  /** Is told that the address bar was cleaned, and of what: it is the same page under another name. */
  renamed_?(from: string): unknown;
}

export type Plugin = (client: Rastro, options: Options, hooks: Hooks) => unknown;
