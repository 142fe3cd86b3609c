import twilio from 'twilio'

export interface SentText {
  sid: string
  body: string
  from: string
  to: string
  segments: number
  cost: number
  sentAt: string
}

const COST_PER_SEGMENT = 0.04

/** Send a text. Null if Twilio is not configured here, or did not take it: the booking goes on all the same. */
export async function sendText(to: string, body: string): Promise<SentText | null> {
  const { TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_PHONE_NUMBER } = process.env
  if (!TWILIO_ACCOUNT_SID || !TWILIO_AUTH_TOKEN || !TWILIO_PHONE_NUMBER) return null
  try {
    const client = twilio(TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN)
    const { sid } = await client.messages.create({ to, from: TWILIO_PHONE_NUMBER, body })
    const segments = Math.max(1, Math.ceil(body.length / 153))
    const cost = segments * COST_PER_SEGMENT
    return { sid, body, from: TWILIO_PHONE_NUMBER, to, segments, cost, sentAt: new Date().toISOString() }
  } catch (error) {
    console.error('Twilio refused the text', error)
    return null
  }
}
