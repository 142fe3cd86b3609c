import { Refusal } from '@/lib/answers'

export function e164(number: string) {
  const digits = number.replace(/[^\d+]/g, '').replace(/^00/, '+').replace(/^0/, '+44')
  if (!/^\+\d{8,15}$/.test(digits)) throw new Refusal(400, 'VALIDATION_ERROR', 'Invalid mobile number')
  return digits
}
